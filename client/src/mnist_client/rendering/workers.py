"""The workers as a table: those that are present, then those that were lost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mnist_client.rendering.output import Paper
from mnist_client.rendering.palette import ACTIVE, BAD, GOOD, NOTICE
from mnist_client.rendering.rows import row_lines
from mnist_client.rendering.table import Cell, Column
from mnist_client.rendering.wording import age, num_bytes
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.contracts.workers import WorkerInfo

STATE_COLOURS: dict[str, str | None] = {
    "starting": NOTICE,
    "idle": GOOD,
    "busy": ACTIVE,
    "draining": NOTICE,
    "drained": NOTICE,
    "lost": BAD,
}
MISMATCH = "!"  # behind a version that is not this client's


@dataclass(frozen=True)
class WorkerRow:
    """What is to be said of one worker."""

    info: WorkerInfo
    seen_at: datetime
    is_lost: bool = False
    drain_wanted: bool = False  # it is to take no more runs
    is_other_version: bool = False  # than this client's

    @property
    def state(self) -> str:
        if self.is_lost:
            return "lost"
        if self.drain_wanted:  # it hears of that with its next look at the queue, and says so a moment later
            return "draining" if self.info.run else "drained"
        return self.info.state


def worker_lines(
    rows: Sequence[WorkerRow], *, records: Mapping[str, RunRecord], now: datetime, paper: Paper
) -> list[str]:
    """One row a worker; `records` are those of their runs."""
    infos = [row.info for row in rows]
    columns = [
        Column("WORKER", [Cell(info.name) for info in infos], importance=9),
        Column("STATE", [Cell(row.state, fg=STATE_COLOURS[row.state]) for row in rows], importance=8),
        Column("DEVICE", [Cell(_device(info)) for info in infos], importance=6, shrinks_to=12),
        Column("GPU", [Cell(_gpu_use(info)) for info in infos], importance=5.5),
        Column("THREADS", [Cell(_threads(info)) for info in infos], importance=1, right=True),
        Column("RUN", [Cell(_run(row, records)) for row in rows], importance=7),
        Column("IMAGES/S", [Cell(_speed(row, records)) for row in rows], importance=5, right=True),
        Column("HOST", [Cell(info.host) for info in infos], importance=3, shrinks_to=10),
        Column("VERSIONS", [_versions(row) for row in rows], importance=2),
        Column("SEEN", [Cell(_seen(row, now=now)) for row in rows], importance=4, right=True),
    ]
    return row_lines(columns, paper=paper)


def lost_words(row: WorkerRow, *, now: datetime, has_stack: bool, command: Callable[[str], str]) -> str:
    """What happened to a worker that vanished, and where to look. `command` makes a command line out of its words."""
    info = row.info
    was = f"with run {info.run}, which another one takes over" if info.run else f"while it was {info.state}"
    log = "its log (of a worker of the stack: the terminal of `up`)" if has_stack else "its log"
    own = f"`{command(f'logs {info.run}')}`, " if info.run else ""
    return (
        f"{info.name} vanished {age((now - row.seen_at).total_seconds())} ago without a word, {was}. "
        f"Look at {own}{log} and the memory of {info.host} (`dmesg`)."
    )


def _device(info: WorkerInfo) -> str:
    device = info.device
    if device is None or device.kind == "cpu":
        return device.kind if device else ""
    return f"{device.kind} {device.name}"


def _gpu_use(info: WorkerInfo) -> str:
    """How busy the GPU is, and how full."""
    device = info.device
    total = num_bytes(device.memory_bytes) if device is not None and device.memory_bytes else ""
    if info.gpu is None:
        return total
    used = num_bytes(info.gpu.memory_used_bytes)
    return f"{100 * info.gpu.utilization:.0f}% {used}" + (f" of {total}" if total else "")


def _threads(info: WorkerInfo) -> str:
    return str(info.device.num_threads) if info.device else ""


def _run(row: WorkerRow, records: Mapping[str, RunRecord]) -> str:
    if not row.info.run or row.is_lost:
        return ""
    record = records.get(row.info.run)
    return (record.options.name if record is not None else None) or row.info.run


def _speed(row: WorkerRow, records: Mapping[str, RunRecord]) -> str:
    record = None if row.is_lost else records.get(row.info.run or "")
    progress = record.progress if record is not None else None
    return f"{progress.images_per_second:,.0f}" if progress is not None and progress.images_per_second else ""


def _versions(row: WorkerRow) -> Cell:
    names = {"mnist-worker": "", "torch": "torch ", "python": "python "}
    known = row.info.versions
    text = ", ".join(f"{label}{known[name]}" for name, label in names.items() if name in known)
    if not row.is_other_version:
        return Cell(text)
    first, comma, rest = text.partition(",")
    return Cell(f"{first}{MISMATCH}{comma}{rest}", fg=NOTICE)


def _seen(row: WorkerRow, *, now: datetime) -> str:
    return f"{age((now - row.seen_at).total_seconds())} ago"
