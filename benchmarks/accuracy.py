"""How accurate the presets are, and after how many seconds: several seeds of each, through the real trainer.

    MNIST_DATA_DIR=... python -m benchmarks.accuracy --preset fast --seeds 1 2 3 4 5 --append
    python -m benchmarks.accuracy --show

Slow (the reference script: ten minutes a seed on two cores), so not part of `make bench`, and to be run piece by piece:
each run is written to benchmarks/accuracy.json as it ends, and with --append what is there already is not run again.
`script` is pytorch/examples mnist/main.py with its own test after each epoch. benchmarks/plot.py draws the figures.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import Table, show
from benchmarks.step import mnist_folder

POINTS = Path(__file__).with_name("accuracy.json")
SCRIPT_EPOCHS = 14  # the script's own default
PRESETS = ("script", "reference", "fast", "accurate")
Run = dict[str, Any]


def train_script(seed: int, *, threads: int) -> Run:
    """A run of the reference script."""
    import torch

    from benchmarks.reference_script import Script

    torch.set_num_threads(threads)
    script = Script(mnist_folder(), seed=seed)
    points = []
    started = time.perf_counter()
    for epoch in range(1, SCRIPT_EPOCHS + 1):
        for _ in script.train():
            pass
        points.append({"epoch": epoch, "accuracy": script.test(), "seconds": time.perf_counter() - started})
        print(points[-1], file=sys.stderr, flush=True)
    return {"device": script.device.type, "points": points}


def train_preset(preset: str, seed: int, *, dataset: str, threads: int) -> Run:
    """A run of the trainer, with its events and checkpoints, in a process that has been warmed up as a worker is."""
    from mnist_shared.contracts.config import make_train_config
    from mnist_shared.training.checkpoints import CheckpointStore
    from mnist_shared.training.data import load_dataset
    from mnist_shared.training.device import choose_device
    from mnist_shared.training.trainer import train
    from mnist_shared.training.warming import warm_up

    device = choose_device(no_cuda=False, no_mps=False)
    data = load_dataset(dataset, folder=mnist_folder())
    warm_up(device, num_threads=threads)
    points: list[dict[str, float]] = []
    started = time.perf_counter()

    def on_event(event: Any) -> None:
        if event.type == "epoch":
            accuracy, seconds = event.metrics.test_accuracy, time.perf_counter() - started
            points.append({"epoch": event.metrics.epoch, "accuracy": accuracy, "seconds": seconds})
            print(points[-1], file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        train(
            make_train_config(preset=preset, seed=seed, dataset=dataset),
            data=data,
            device=device,
            num_threads=threads,
            checkpoints=CheckpointStore(Path(folder), attempt=1, authorize=lambda: None, keep_last=2),
            model_path=Path(folder) / "mnist_cnn.pt",
            on_event=on_event,
            should_stop=lambda: False,
        )
    return {"device": device.type, "points": points}


def table(runs: list[Run]) -> Table:
    """Mean, lowest and highest final accuracy of each preset, and its seconds."""
    groups: dict[tuple[str, str, str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run["dataset"], run["preset"], run["device"], run["threads"]), []).append(run)
    rows = []
    for (dataset, preset, device, threads), group in sorted(groups.items(), key=lambda item: item[0][:1]):
        final = [run["points"][-1]["accuracy"] for run in group]
        seconds = [run["points"][-1]["seconds"] for run in group]
        rows.append(
            (
                f"{preset}, {dataset}",
                f"{statistics.mean(final):.2%}",
                f"{min(final):.2%}",
                f"{max(final):.2%}",
                f"{len(group)}",
                f"{len(group[0]['points'])}",
                f"{statistics.median(seconds):.1f}",
                f"{device}, {threads} threads",
            )
        )
    header = ("preset", "mean", "lowest", "highest", "seeds", "epochs", "seconds", "on")
    notes = ["Final test accuracy. Seconds: median, from the first batch, a pass over the test set per epoch included."]
    return Table("Accuracy", header, rows, notes)


def read() -> list[Run]:
    """The runs that are there."""
    runs: list[Run] = json.loads(POINTS.read_text())["runs"] if POINTS.exists() else []
    return runs


def write(runs: list[Run]) -> None:
    """Replace the file as a whole: an interrupted one keeps what it had."""
    temporary = POINTS.with_suffix(".tmp")
    temporary.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    os.replace(temporary, POINTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS[1:]))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--dataset", choices=["mnist", "digits"], default="mnist")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--append", action="store_true", help="keep the runs that are there, and do not repeat them")
    parser.add_argument("--show", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if options.dataset == "digits" and "script" in options.preset:
        parser.error("the script knows MNIST only")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if not options.show and options.preset != ["script"]:  # which is measured as it is
        from mnist_shared.training.process import prepare_process

        prepare_process()
    runs = read() if options.append or options.show else []
    there = {(run["preset"], run["dataset"], run["seed"], run["threads"]) for run in runs}
    for preset in [] if options.show else options.preset:
        for seed in options.seeds:
            if (preset, options.dataset, seed, options.threads) in there:
                continue
            print(f"{preset}, {options.dataset}, seed {seed}", file=sys.stderr, flush=True)
            if preset == "script":
                found = train_script(seed, threads=options.threads)
            else:
                found = train_preset(preset, seed, dataset=options.dataset, threads=options.threads)
            run = {"preset": preset, "dataset": options.dataset, "seed": seed, "threads": options.threads}
            runs.append({**run, "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), **found})
            write(runs)
    show([table(runs)])


if __name__ == "__main__":
    main()
