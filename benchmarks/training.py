"""How quickly it trains: against pytorch/examples mnist/main.py, with every preset, and what watching it costs.

    MNIST_DATA_DIR=... python -m benchmarks.training [--turns 4] [--threads 2]

About five minutes on two quiet cores. Each turn is a process of its own, and the sides take turns. What is computed
from a part of an epoch says so. Accuracy over several seeds is a matter of hours: benchmarks/accuracy.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import SPREAD, Table, ratio, show, spread
from benchmarks.step import mnist_folder

WARM_UP = 20  # batches that are not counted
ROLLING_BATCHES = 1000  # over which checkpoints are written
EVALUATION_CHUNKS = (64, 128, 256, 500)
Figures = dict[str, Any]


class Bench:
    """The trainer on MNIST, as a worker runs it: the same allocator, OpenMP settings, device choice and warm-up."""

    def __init__(self) -> None:
        from mnist_shared.training.process import prepare_process

        prepare_process()
        import torch

        from mnist_shared.training.data import load_dataset
        from mnist_shared.training.device import choose_device
        from mnist_shared.training.warming import warm_up

        self.device = choose_device(no_cuda=False, no_mps=False)
        self.num_threads = torch.get_num_threads()
        self.data = load_dataset("mnist", folder=mnist_folder())
        warm_up(self.device, num_threads=self.num_threads)

    def train(
        self, config: Any, *, should_stop: Callable[[], bool], on_event: Callable[[Any], object] = lambda event: None
    ) -> Any:
        from mnist_shared.training.checkpoints import CheckpointStore
        from mnist_shared.training.trainer import train

        with tempfile.TemporaryDirectory() as folder:
            store = CheckpointStore(Path(folder), attempt=1, authorize=lambda: None, keep_last=2)
            return train(
                config,
                data=self.data,
                device=self.device,
                num_threads=self.num_threads,
                checkpoints=store,
                model_path=Path(folder) / "mnist_cnn.pt",
                on_event=on_event,
                should_stop=should_stop,
            )

    def batches(
        self, config: Any, *, count: int, on_event: Callable[[Any], object] = lambda event: None
    ) -> list[float]:
        """Seconds of each of `count` batches after the warm-up."""
        asked: list[float] = []

        def should_stop() -> bool:
            asked.append(time.perf_counter())
            return len(asked) > WARM_UP + count

        self.train(config, should_stop=should_stop, on_event=on_event)
        return [after - before for before, after in zip(asked[WARM_UP:], asked[WARM_UP + 1 :], strict=False)]

    def evaluate(self, model: Any) -> float:
        from mnist_shared.training.evaluation import evaluate

        started = time.perf_counter()
        evaluate(
            model,
            self.data.test_images,
            self.data.test_labels,
            mean=self.data.mean,
            std=self.data.std,
            batch_size=1000,
            device=self.device,
        )
        return time.perf_counter() - started


# ---- what one process measures ---------------------------------------------------------------------------------------


def script(_: int) -> Figures:
    from benchmarks.reference_script import NUM_BATCHES, Script

    running = Script(mnist_folder())
    step = running.step_seconds(100, warm_up=WARM_UP) / 100
    started = time.perf_counter()
    running.test()
    test = time.perf_counter() - started
    return {"device": running.device.type, "step": step, "test": test, "epoch": NUM_BATCHES * step + test}


def reference(_: int) -> Figures:
    bench = Bench()
    from benchmarks.reference_script import NUM_BATCHES
    from mnist_shared.contracts.config import PRESETS
    from mnist_shared.training.model import new_network

    config = PRESETS["reference"]
    told: list[str] = []
    quiet = config.model_copy(update={"save_model": False})
    seconds = bench.batches(quiet, count=200, on_event=lambda event: told.append(event.model_dump_json()))
    step = sum(seconds) / len(seconds)
    test = bench.evaluate(new_network(config).to(bench.device))
    return {"device": bench.device.type, "step": step, "test": test, "epoch": NUM_BATCHES * step + test}


def fast(seed: int) -> Figures:
    bench = Bench()
    from mnist_shared.contracts.config import make_train_config

    epochs: list[Any] = []
    started = time.perf_counter()
    result = bench.train(
        make_train_config(preset="fast", seed=seed),
        should_stop=lambda: False,
        on_event=lambda event: epochs.append(event.metrics) if event.type == "epoch" else None,
    )
    whole = time.perf_counter() - started
    return {"seconds": whole, "accuracy": result.test_accuracy, "epochs": [m.test_accuracy for m in epochs]}


def watching(_: int) -> Figures:
    """Events on and off in turns; then checkpoints as often as they can be written."""
    bench = Bench()
    from mnist_shared.contracts.config import PRESETS

    loud = PRESETS["reference"].model_copy(update={"save_model": False})
    quiet = loud.model_copy(update={"log_interval": 1_000_000})
    events: list[str] = []
    sides: dict[str, list[float]] = {"with": [], "without": []}
    for _turn in range(4):
        for side, config in (("with", loud), ("without", quiet)):
            seconds = bench.batches(config, count=100, on_event=lambda event: events.append(event.model_dump_json()))
            sides[side].append(statistics.mean(seconds))
    saved: list[int] = []
    rolling = quiet.model_copy(update={"save_model": True, "checkpoint_every_seconds": 0.5})
    seconds = bench.batches(
        rolling,
        count=ROLLING_BATCHES,
        on_event=lambda event: saved.append(event.checkpoint.batch) if event.type == "checkpoint_saved" else None,
    )
    # A save begins after batch number `first`, and the next 8 run beside the writer; 10 later all is as usual again.
    starts = [batch - WARM_UP for batch in saved if WARM_UP < batch < WARM_UP + ROLLING_BATCHES - 20]
    usual = statistics.median(sum(seconds[first + 9 : first + 18]) for first in starts)
    costs = [sum(seconds[first - 1 : first + 8]) - usual for first in starts]
    return {**sides, "costs": costs, "usual": usual}


def evaluation(_: int) -> Figures:
    bench = Bench()
    import torch

    from mnist_shared.contracts.config import PRESETS
    from mnist_shared.training.evaluation import normalised
    from mnist_shared.training.model import new_network

    found: Figures = {}
    for config in (PRESETS["reference"], PRESETS["fast"]):
        model = new_network(config).to(bench.device).eval()
        images = normalised(bench.data.test_images, mean=bench.data.mean, std=bench.data.std).to(bench.device)
        times: dict[str, list[float]] = {"evaluation": [], **{str(chunk): [] for chunk in EVALUATION_CHUNKS}}
        for _turn in range(4):
            times["evaluation"].append(bench.evaluate(model))
            for chunk in EVALUATION_CHUNKS:
                started = time.perf_counter()
                with torch.inference_mode():
                    for part in images.split(chunk):
                        output = model(part)
                output[0, 0].item()  # waits for the device
                times[str(chunk)].append(time.perf_counter() - started)
        found[config.network] = times
    return found


def beginning(_: int) -> Figures:
    """From the call of the trainer to its first finished step, in a process that has trained before."""
    bench = Bench()
    from mnist_shared.contracts.config import PRESETS

    found: Figures = {}
    for name, config in PRESETS.items():
        times = []
        for _turn in range(8):
            asked: list[float] = []

            def should_stop(asked: list[float] = asked) -> bool:
                asked.append(time.perf_counter())
                return len(asked) > 1

            started = time.perf_counter()
            bench.train(config.model_copy(update={"save_model": False}), should_stop=should_stop)
            times.append(asked[1] - started)
        found[name] = times
    return found


SIDES = {f.__name__: f for f in (script, reference, fast, watching, evaluation, beginning)}


# ---- the tables ------------------------------------------------------------------------------------------------------


def measure(*, turns: int = 4, threads: int | None = None) -> list[Table]:
    """Six tables; about five minutes on two quiet cores."""
    threads = threads or len(os.sched_getaffinity(0))

    def run(side: str, number: int = 1) -> Figures:
        command = [sys.executable, "-m", "benchmarks.training", "--side", side, "--number", str(number)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MNIST_DATA_DIR": str(mnist_folder())}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found: Figures = json.loads(done.stdout)
        return found

    pairs = [(run("script"), run("reference")) for _ in range(turns)]
    device = pairs[0][1]["device"]
    where = f"On {device}, {threads} threads."
    return [
        _epoch([pair[0] for pair in pairs], [pair[1] for pair in pairs], where),
        _fast([run("fast", seed) for seed in (1, 2, 3)], where),
        *_watching(run("watching"), where),
        _evaluation(run("evaluation"), where),
        _beginning(run("beginning"), where),
    ]


def _epoch(scripts: list[Figures], own: list[Figures], where: str) -> Table:
    rows = []
    for part, words, scale in (("step", "a step, ms", 1000), ("test", "test set, s", 1), ("epoch", "an epoch, s", 1)):
        theirs, ours = [turn[part] for turn in scripts], [turn[part] for turn in own]
        rows.append((f"{words}: mnist/main.py", *spread(theirs, scale=scale, digits=2), "1.00"))
        rows.append((f"{words}: --preset reference", *spread(ours, scale=scale, digits=2), ratio(ours, theirs)))
    notes = [
        f"{where} Batch 64; the two sides take turns, each turn a process.",
        "An epoch is computed: 938 times the mean step of 100 (script) or 200 (here) batches, and a whole test pass.",
    ]
    return Table("The reference network", ("part", *SPREAD, "ratio"), rows, notes)


def _fast(runs: list[Figures], where: str) -> Table:
    rows = []
    for seed, run in enumerate(runs, start=1):
        epochs = ", ".join(f"{accuracy:.2%}" for accuracy in run["epochs"])
        rows.append((f"seed {seed}", f"{run['seconds']:.1f}", f"{run['accuracy']:.2%}", epochs))
    reached = [run["seconds"] for run in runs if run["accuracy"] >= 0.9927]
    words = f"99.27 % (what the script publishes) was reached by {len(reached)} of {len(runs)} runs"
    words += f", the slowest in {max(reached):.1f} s." if reached else "."
    notes = [f"{where} The whole call of the trainer, with its tests, events, checkpoints and the model.", words]
    return Table("--preset fast on MNIST", ("run", "seconds", "test accuracy", "after each epoch"), rows, notes)


def _watching(found: Figures, where: str) -> list[Table]:
    events = Table(
        "Progress events, ms a step of the reference network",
        ("loop", *SPREAD, "ratio"),
        [
            ("without", *spread(found["without"], scale=1000, digits=2), "1.00"),
            ("with", *spread(found["with"], scale=1000, digits=2), ratio(found["with"], found["without"])),
        ],
        [f"{where} Every tenth batch, ten a second at most, written as JSON. In turns of 100 batches, one process."],
    )
    cost = statistics.median(found["costs"])
    share = cost / 30
    checkpoint = Table(
        "A checkpoint of the reference network, ms of the loop's time",
        ("what", *SPREAD),
        [("a checkpoint", *spread(found["costs"], scale=1000, digits=1))],
        [
            f"{where} Two a second for {ROLLING_BATCHES} batches: what the batch that begins it and the eight beside "
            f"the writer take beyond nine without one ({found['usual'] * 1000:.0f} ms).",
            f"At the default of one in 30 s that is {share:.2%} of the loop's time.",
        ],
    )
    return [events, checkpoint]


def _evaluation(found: Figures, where: str) -> Table:
    rows = []
    for network, times in found.items():
        best = min(EVALUATION_CHUNKS, key=lambda chunk: statistics.median(times[str(chunk)]))
        floor, own = times[str(best)], times["evaluation"]
        rows.append((f"{network}: forward passes alone, batch {best}", *spread(floor, digits=3), "1.00"))
        rows.append((f"{network}: evaluation", *spread(own, digits=3), ratio(own, floor)))
    notes = [f"{where} 10,000 images, s. The floor: the network alone on images normalised before, best batch size."]
    return Table("Evaluation", ("what", *SPREAD, "ratio"), rows, notes)


def _beginning(found: Figures, where: str) -> Table:
    rows = [(f"--preset {name}", *spread(times, scale=1000)) for name, times in found.items()]
    notes = [f"{where} The trainer's part, data in memory, ms; the queue's is among the client's benchmarks."]
    return Table("From the call to the first finished step", ("run", *SPREAD), rows, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(SIDES[options.side](options.number)))
        return
    show(measure(turns=options.turns, threads=options.threads))


if __name__ == "__main__":
    main()
