"""The present workers as a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from mnist_client.rendering.output import Output, width_of
from mnist_client.rendering.table import GAP, Cell, Column, fitting, shortened
from mnist_client.rendering.wording import age, num_bytes
from mnist_shared.contracts.workers import WorkerInfo
from mnist_shared.storage.workers import PresentWorker

STATE_COLOURS = {"starting": "yellow", "idle": "green", "busy": "cyan", "draining": "magenta"}


def print_workers(workers: Sequence[PresentWorker], *, now: datetime, output: Output, stream: TextIO) -> None:
    """One row a worker."""
    width = width_of(stream)
    columns = fitting(_columns(workers, now=now), width=width)
    lines = [output.paint(GAP.join(column.aligned(column.title) for column in columns).rstrip(), stream, bold=True)]
    for number in range(len(workers)):
        cells = []
        for column in columns:
            cell = column.cells[number]
            cells.append(column.aligned(cell.text).replace(cell.text, output.paint(cell.text, stream, fg=cell.fg), 1))
        line = GAP.join(cells).rstrip()
        lines.append(line)
    output.data("\n".join(lines))


def _columns(workers: Sequence[PresentWorker], *, now: datetime) -> list[Column]:
    infos = [worker.info for worker in workers]
    return [
        Column("WORKER", [Cell(info.name) for info in infos], importance=9),
        Column("STATE", [Cell(info.state, fg=STATE_COLOURS[info.state]) for info in infos], importance=8),
        Column("DEVICE", [Cell(info.device.kind if info.device else "") for info in infos], importance=6),
        Column("GPU", [Cell(_gpu(info)) for info in infos], importance=5),
        Column(
            "THREADS",
            [Cell(str(info.device.num_threads) if info.device else "") for info in infos],
            importance=3,
            right=True,
        ),
        Column("RUN", [Cell(info.run or "") for info in infos], importance=7),
        Column("HOST", [Cell(shortened(info.host, 24)) for info in infos], importance=2),
        Column("VERSIONS", [Cell(_versions(info)) for info in infos], importance=1),
        Column(
            "SEEN",
            [Cell(f"{age((now - worker.seen_at).total_seconds())} ago") for worker in workers],
            importance=4,
            right=True,
        ),
    ]


def _gpu(info: WorkerInfo) -> str:
    device = info.device
    if device is None or device.kind == "cpu":
        return ""
    return device.name + (f", {num_bytes(device.memory_bytes)}" if device.memory_bytes else "")


def _versions(info: WorkerInfo) -> str:
    names = {"mnist-worker": "", "torch": "torch ", "python": "python "}
    return ", ".join(f"{label}{info.versions[name]}" for name, label in names.items() if name in info.versions)
