"""How long a training step takes, here and in the loop of pytorch/examples mnist/main.py: the same network, batch 64.

    MNIST_DATA_DIR=... python -m benchmarks.step [--turns 9] [--batches 150] [--threads 2]

Each turn is a process of its own, the two sides take turns, and the ratio is of the medians.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import SPREAD, Table, ratio, show, spread

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "mnist"
WARM_UP = 20  # batches that are not counted


def mnist_folder() -> Path:
    """Where MNIST lies."""
    return Path(os.environ.get("MNIST_DATA_DIR") or DEFAULT_DATA)


def reference(num_batches: int, data_dir: Path) -> float:
    """Seconds for `num_batches` steps of the reference loop."""
    from benchmarks.reference_script import Script

    return Script(data_dir).step_seconds(num_batches, warm_up=WARM_UP)


def ours(num_batches: int, data_dir: Path) -> float:
    """Seconds for `num_batches` steps of the trainer, with its events; checkpoints are a matter of once in 30 s."""
    from mnist_shared.training.process import prepare_process

    prepare_process()
    import torch

    from mnist_shared.contracts.config import TrainConfig
    from mnist_shared.training.checkpoints import CheckpointStore
    from mnist_shared.training.data import load_dataset
    from mnist_shared.training.trainer import train

    calls: list[float] = []

    def should_stop() -> bool:
        calls.append(time.perf_counter())
        return len(calls) > WARM_UP + num_batches

    with tempfile.TemporaryDirectory() as folder:
        train(
            TrainConfig(save_model=False),
            data=load_dataset("mnist", folder=data_dir),
            device=torch.device("cpu"),
            num_threads=torch.get_num_threads(),
            checkpoints=CheckpointStore(Path(folder), attempt=1, authorize=lambda: None, keep_last=1),
            model_path=Path(folder) / "mnist_cnn.pt",
            on_event=lambda event: print(event.model_dump_json(), file=sys.stderr),
            should_stop=should_stop,
        )
    return calls[WARM_UP + num_batches] - calls[WARM_UP]


SIDES = {"reference": reference, "ours": ours}


def measure(*, turns: int = 9, batches: int = 150, threads: int | None = None) -> list[Table]:
    """One table; a turn of 150 batches takes about 20 s on two cores."""
    threads = threads or os.cpu_count() or 1
    milliseconds: dict[str, list[float]] = {side: [] for side in SIDES}
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MNIST_DATA_DIR": str(mnist_folder())}
    for _ in range(turns):
        for side in SIDES:
            command = [sys.executable, "-m", "benchmarks.step", "--side", side, "--batches", str(batches)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            milliseconds[side].append(float(done.stdout) / batches * 1000)
    own, other = milliseconds["ours"], milliseconds["reference"]
    rows = [
        ("pytorch/examples mnist/main.py", *spread(other), "1.00"),
        ("this trainer", *spread(own), ratio(own, other)),
    ]
    words = f"Batch 64, {threads} threads, {batches} steps a turn, each turn a process; the sides take turns."
    return [Table("Training step, ms", ("loop", *SPREAD, "ratio"), rows, [words])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(SIDES[options.side](options.batches, mnist_folder()))
        return
    show(measure(turns=options.turns, batches=options.batches, threads=options.threads))


if __name__ == "__main__":
    main()
