"""Runs as a table, and one run in detail."""

from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from mnist_client.rendering.output import Output, is_unicode, one_line, width_of
from mnist_client.rendering.table import GAP, Cell, Column, fitting, shortened, total_width
from mnist_client.rendering.wording import age, failure, percent
from mnist_shared.contracts.requests import EvaluateRequest
from mnist_shared.contracts.runs import EvaluateResult, RunRecord, RunState, TrainResult

STATE_COLOURS = {
    RunState.QUEUED: "yellow",
    RunState.RUNNING: "cyan",
    RunState.SUCCEEDED: "green",
    RunState.FAILED: "red",
    RunState.CANCELLED: "magenta",
}
REASON_ROOM = 30  # columns; a reason with less room stands on a line of its own


def print_table(records: Sequence[RunRecord], *, now: datetime, output: Output, stream: TextIO) -> None:
    """One row a run; a failed one says why."""
    width = width_of(stream)
    columns = fitting(_columns(records, now=now), width=width)
    reasons = [_reason(record) for record in records]
    room = None if width is None else width - total_width(columns) - len(GAP)
    beside = any(reasons) and (room is None or room >= min(REASON_ROOM, max(map(len, reasons))))
    ellipsis = "…" if is_unicode(stream) else "..."

    titles = [column.aligned(column.title) for column in columns] + (["REASON"] if beside else [])
    lines = [output.paint(GAP.join(titles).rstrip(), stream, bold=True)]
    for number, reason in enumerate(reasons):
        cells = [_painted(column, column.cells[number], output, stream) for column in columns]
        if reason and beside:
            short = reason if room is None else shortened(reason, room, ellipsis=ellipsis)
            cells.append(output.paint(short, stream, fg="red"))
        lines.append(GAP.join(cells).rstrip())
        if reason and not beside:
            assert width is not None
            lines.append(GAP + output.paint(shortened(reason, width - len(GAP), ellipsis=ellipsis), stream, fg="red"))
    output.data("\n".join(lines))


def _columns(records: Sequence[RunRecord], *, now: datetime) -> list[Column]:
    return [
        Column("RUN", [Cell(record.id) for record in records], importance=9),
        Column("KIND", [Cell(record.request.kind) for record in records], importance=4),
        Column("STATE", [_state(record) for record in records], importance=8),
        Column("PROGRESS", [Cell(progress_words(record)) for record in records], importance=7),
        Column("ACCURACY", [Cell(_accuracy(record)) for record in records], importance=6, right=True),
        Column("LOSS", [Cell(_loss(record)) for record in records], importance=2, right=True),
        Column("WORKER", [Cell(record.worker or "") for record in records], importance=1),
        Column(
            "AGE",
            [Cell(age((now - record.submitted_at).total_seconds())) for record in records],
            importance=5,
            right=True,
        ),
    ]


def _painted(column: Column, cell: Cell, output: Output, stream: TextIO) -> str:
    padded = column.aligned(cell.text)
    return padded.replace(cell.text, output.paint(cell.text, stream, fg=cell.fg), 1) if cell.fg else padded


def _state(record: RunRecord) -> Cell:
    word = "cancelling" if record.cancel_requested and not record.state.is_final else str(record.state)
    return Cell(word, fg=STATE_COLOURS[record.state])


def progress_words(record: RunRecord) -> str:
    """Finished epochs of all, and while it trains how far the present one is: 6/15 43%."""
    if isinstance(record.request, EvaluateRequest):
        return ""
    progress = record.progress
    if progress is None:
        return f"0/{record.request.config.epochs}"
    words = f"{progress.epoch}/{progress.epochs}"
    if record.state is RunState.RUNNING and progress.epoch < progress.epochs:
        words += f" {100 * progress.batch // progress.num_batches}%"
    return words


def _accuracy(record: RunRecord) -> str:
    if isinstance(record.result, EvaluateResult):
        return percent(record.result.accuracy)
    if record.progress is not None and record.progress.last_epoch is not None:
        return percent(record.progress.last_epoch.test_accuracy)
    return (
        percent(record.result.test_accuracy)
        if isinstance(record.result, TrainResult) and not record.result.dry_run
        else ""
    )


def _loss(record: RunRecord) -> str:
    """Of the last batch while it trains, on the test set once it has ended."""
    if isinstance(record.result, EvaluateResult):
        return f"{record.result.average_loss:.4f}"
    if isinstance(record.result, TrainResult):
        return f"{record.result.test_loss:.4f}"
    if record.progress is None or record.progress.loss is None:
        return ""
    return f"{record.progress.loss:.4f}"


def _reason(record: RunRecord) -> str:
    return one_line(failure(record.error)) if record.state is RunState.FAILED and record.error is not None else ""
