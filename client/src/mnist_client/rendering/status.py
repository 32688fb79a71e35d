"""Runs as a table: one row a run, and below or beside it what it has to say."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mnist_client.rendering.notes import note_of
from mnist_client.rendering.output import Paper
from mnist_client.rendering.palette import STATE_COLOURS
from mnist_client.rendering.rows import painted
from mnist_client.rendering.sparkline import sparkline
from mnist_client.rendering.table import GAP, Cell, Column, cell_width, fitting, total_width
from mnist_client.rendering.wording import age, brief, percent
from mnist_shared.contracts.requests import OnTarget
from mnist_shared.contracts.runs import EvaluateResult, RunRecord, RunState, TrainResult

if TYPE_CHECKING:
    from mnist_client.overview import Overview
    from mnist_shared.storage.records import Brief

NOTE_ROOM = 40  # columns; notes with less room stand on lines of their own
NAME_WIDTH, WORKER_WIDTH = 8, 8  # to which names are cut before a column goes
SPARK_WIDTHS = ((160, 32), (120, 16), (0, 8))  # in terminals of at least so many columns


def table_lines(overview: "Overview", paper: Paper, command: Callable[[str], str]) -> list[str]:
    """A header, and the rows with their notes. `command` makes a command line out of its words."""
    columns = fitting(_columns(overview, paper), width=paper.width, ellipsis=paper.ellipsis)
    notes = [note_of(record, names=overview.names) for record in overview.records]
    texts = [note.text(command) if note else "" for note in notes]
    room = None if paper.width is None else paper.width - total_width(columns) - len(GAP)
    widest = max(map(cell_width, texts), default=0)
    beside = widest > 0 and (room is None or (room >= NOTE_ROOM and room >= widest))

    titles = [column.aligned(column.title) for column in columns] + (["NOTE"] if beside else [])
    lines = [paper.paint(GAP.join(titles).rstrip(), bold=True)]
    for number, note in enumerate(notes):
        cells = [painted(column, column.cells[number], paper) for column in columns]
        if note and beside:
            cells.append(paper.paint(texts[number], fg=note.fg))
        lines.append(GAP.join(cells).rstrip())
        if note and not beside:
            lines += note.lines(paper, command)
    return lines


def _columns(overview: "Overview", paper: Paper) -> list[Column]:
    records, outlook = overview.records, overview.outlook

    def cells(text: Callable[[RunRecord], str]) -> Sequence[Cell]:
        return [Cell(text(record)) for record in records]

    spark_width = next(size for least, size in SPARK_WIDTHS if paper.width is None or paper.width >= least)
    return [
        Column("RUN", cells(lambda record: record.id), importance=10),
        Column("NAME", cells(lambda record: record.options.name or ""), importance=4.5, shrinks_to=NAME_WIDTH),
        Column("KIND", cells(lambda record: record.request.kind), importance=2),
        Column("STATE", [_state(record) for record in records], importance=9),
        Column("PROGRESS", cells(progress_words), importance=8),
        Column("LOSS", cells(lambda record: _losses(record, spark_width, paper)), importance=3),
        Column("BEST", cells(_best), importance=7, right=True),
        Column("STARTS", cells(lambda record: _starts(outlook.starts.get(record.id))), importance=1, right=True),
        Column("ETA", cells(lambda record: _seconds(outlook.ends.get(record.id))), importance=5, right=True),
        Column("WORKER", cells(lambda record: record.worker or ""), importance=1.5, shrinks_to=WORKER_WIDTH),
        Column("TAGS", cells(lambda record: ",".join(record.options.tags)), importance=0, shrinks_to=WORKER_WIDTH),
        Column(
            "AGE",
            cells(lambda record: age((overview.now - record.submitted_at).total_seconds())),
            importance=4,
            right=True,
        ),
    ]


def _state(record: RunRecord) -> Cell:
    word = "cancelling" if record.cancel_requested and not record.state.is_final else str(record.state)
    return Cell(word, fg=STATE_COLOURS[record.state])


def _losses(record: RunRecord, width: int, paper: Paper) -> str:
    return sparkline(record.progress.losses, width=width, is_unicode=paper.is_unicode) if record.progress else ""


def _starts(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return "now" if seconds < 1 else f"in {brief(seconds)}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else brief(seconds)


def progress_words(record: RunRecord) -> str:
    """Finished epochs of all, and while it trains how far the present one is: 6/15 43%."""
    progress = record.progress
    if isinstance(record.request, OnTarget) and progress is None:  # a verification trains
        return ""
    if progress is None:
        return f"0/{record.request.config.epochs}"
    words = f"{progress.epoch}/{progress.epochs}"
    if record.state is RunState.RUNNING and progress.epoch < progress.epochs:
        words += f" {100 * progress.batch // progress.num_batches}%"
    return words


def best_accuracy(record: "RunRecord | Brief") -> float | None:
    """The highest accuracy on the test set so far; of an evaluation the one that it found."""
    result, progress = record.result, record.progress
    if isinstance(result, EvaluateResult):
        return result.accuracy
    found = [progress.best_accuracy] if progress is not None else []
    if progress is not None and progress.last_epoch is not None:
        found.append(progress.last_epoch.test_accuracy)
    if isinstance(result, TrainResult) and not result.dry_run:
        found.append(result.test_accuracy)
    return max((accuracy for accuracy in found if accuracy is not None), default=None)


def _best(record: RunRecord) -> str:
    accuracy = best_accuracy(record)
    return "" if accuracy is None else percent(accuracy)
