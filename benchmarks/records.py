"""What many runs cost: `mnist-client status` with 10 to 10,000 of them, and the server's memory for each."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.followers import epoch
from benchmarks.report import SPREAD, Table, spread
from benchmarks.stage import Stage
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import CheckpointSaved, Finished
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import CheckpointRef, RunState, TrainResult
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore

STATUS = [str(Path(sys.executable).with_name("mnist-client")), "status"]
REQUEST = TrainRequest(config=TrainConfig())
RESULT = TrainResult(
    epochs=15, test_loss=0.03, test_correct=9929, test_total=10_000, test_accuracy=0.9929, seconds=360.0,
    device="cpu", num_threads=2, weights_sha256="0" * 64, model_file="mnist_cnn.pt",
)  # fmt: skip


def end_run(store: RunStore, *, num_epochs: int) -> None:
    """A run that was submitted, told its epochs and checkpoints, and has succeeded."""
    grant = store.claim(store.submit(REQUEST).run_id, worker="bench")
    assert grant is not None
    progress = None
    for number in range(1, num_epochs + 1):
        told = epoch(number)
        progress = advance(progress, told)
        store.append(grant, told, sequence=2 * number - 1, progress=progress)
        saved = CheckpointRef(
            file=f"e{number:04d}-b000000-a0001.pt", epoch=number, batch=0, attempt=1, num_bytes=14_400_000,
            sha256="0" * 64,
        )  # fmt: skip
        store.append(grant, CheckpointSaved(checkpoint=saved), sequence=2 * number, checkpoint=saved)
    store.finish(grant, Finished(state=RunState.SUCCEEDED, result=RESULT))


def measure_status(on: Stage, *, sizes: tuple[int, ...], turns: int) -> Table:
    """Wall time of the whole command, one database a size, by turns."""
    for database, size in enumerate(sizes):
        store = RunStore(connect(on.url(database)))
        for _ in range(size):
            end_run(store, num_epochs=0)
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(turns):
        for database, size in enumerate(sizes):
            environment = on.environment(database)
            started = time.perf_counter()
            subprocess.run(STATUS, env=environment, check=True, capture_output=True)
            seconds[size].append(time.perf_counter() - started)
    rows = [(f"{size:,}", *spread(values, scale=1000, digits=0)) for size, values in seconds.items()]
    return Table(
        "mnist-client status, ms", ("ended runs", *SPREAD), rows, ["Wall time of the process, output and all."]
    )


def measure_memory(on: Stage, *, count: int) -> Table:
    """The server's memory before and after."""
    store = RunStore(connect(on.url(15)))
    rows = []
    for label, num_epochs, number in (
        ("waiting", None, count),
        ("ended, no epochs", 0, count),
        ("ended, 15 epochs and checkpoints", 15, max(1, count // 10)),
    ):
        before = on.used_memory()
        for _ in range(number):
            if num_epochs is None:
                store.submit(REQUEST)
            else:
                end_run(store, num_epochs=num_epochs)
        rows.append((label, f"{(on.used_memory() - before) / number:,.0f}", f"{number:,}"))
    return Table("Server memory, bytes a run", ("run", "bytes", "n"), rows, ["Record, indexes, events, message."])


def measure(
    on: Stage, *, sizes: tuple[int, ...] = (10, 1000, 10_000), turns: int = 10, count: int = 1000
) -> list[Table]:
    """Both topics; about half a minute."""
    return [measure_status(on, sizes=sizes, turns=turns), measure_memory(on, count=count)]
