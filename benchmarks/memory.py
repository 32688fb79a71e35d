"""How much memory a worker takes: before, during and after a training run.

    MNIST_DATA_DIR=... python -m benchmarks.memory

A real worker on a server of its own trains the reference network at batch 64. RSS and PSS of its main process and its
pool process are read from /proc/PID/smaps_rollup (Linux); PSS counts a page that is shared by n processes as one nth.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import TRAINING, Worker

from benchmarks.report import Table, show
from benchmarks.stage import Stage, process, stage
from benchmarks.step import mnist_folder
from mnist_shared.contracts.config import DatasetName, TrainConfig
from mnist_shared.contracts.events import BatchProgress
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore

NUM_BATCHES = 100
KINDS = ("Rss", "Pss")


def mebibytes(pid: int) -> dict[str, float]:
    """What the process has in memory, by kind."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.partition(":")[0]: line.split()[1] for line in lines}
    return {kind: int(kilobytes[kind]) / 1024 for kind in KINDS}


@contextmanager
def trained(store: RunStore, *, dataset: DatasetName) -> Iterator[None]:
    """Inside: a run that has trained NUM_BATCHES batches and goes on. After it the run is cancelled."""
    run_id = store.submit(TrainRequest(config=TrainConfig(dataset=dataset, epochs=1000))).run_id
    events = EventLog(store.redis).follow(run_id)
    batches = (told.event for told in events if told and isinstance(told.event, BatchProgress))
    next(event for event in batches if event.epoch > 1 or event.batch >= NUM_BATCHES)
    yield
    store.cancel(run_id)
    for _ in events:
        pass  # until its last one


def measure_worker(on: Stage, *, dataset: DatasetName) -> Table:
    """One worker's two processes in each state."""
    environment = on.environment(0) | {"MNIST_DATA_DIR": str(mnist_folder())}
    store = RunStore(connect(on.url(0)))
    worker = Worker("bench", environment=environment, command=TRAINING, folder=on.folder)
    rows: list[tuple[str, ...]] = []

    def note(state: str) -> None:
        both = [mebibytes(pid) for pid in (worker.process.pid, worker.pool_pid())]
        figures = [one[kind] for one in both for kind in KINDS] + [sum(one["Pss"] for one in both)]
        rows.append((state, *(f"{figure:.0f}" for figure in figures)))

    try:
        worker.wait_until_ready(store.redis)
        time.sleep(1)  # what starting has left to tidy up
        note("idle, torch loaded")
        with trained(store, dataset=dataset):
            note(f"training {dataset}, after {NUM_BATCHES} batches")
        time.sleep(1)
        note("idle again")
    finally:
        worker.kill()
    return Table(
        "Memory of one worker, MiB",
        ("state", "main RSS", "main PSS", "pool RSS", "pool PSS", "both PSS"),
        rows,
        [f"The data set stays in memory between runs. A Python that has only imported torch: {bare(on)}."],
    )


def bare(on: Stage) -> str:
    """The same of a process that does nothing but import torch."""
    command = [sys.executable, "-c", "import torch; print('ready', flush=True); input()"]
    with process(command, log=on.folder / "bare.log", environment=on.environment(0)) as child:
        assert child.stdout is not None
        child.stdout.readline()
        figures = mebibytes(child.pid)
    return f"{figures['Rss']:.0f} RSS, {figures['Pss']:.0f} PSS"


def measure() -> list[Table]:
    """One table; about half a minute."""
    if not Path("/proc/self/smaps_rollup").exists():
        return [Table("Memory of one worker, MiB", ("state",), [], ["Not measured: this system has no smaps_rollup."])]
    dataset: DatasetName = "mnist" if (mnist_folder() / "MNIST").is_dir() else "digits"
    with stage() as on:
        return [measure_worker(on, dataset=dataset)]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    show(measure())


if __name__ == "__main__":
    main()
