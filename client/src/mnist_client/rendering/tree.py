"""Runs as a tree: what came of what."""

from collections.abc import Iterator

from mnist_client.family import Kin
from mnist_client.rendering.output import Paper
from mnist_client.rendering.palette import STATE_COLOURS
from mnist_client.rendering.status import best_accuracy, progress_words
from mnist_client.rendering.table import shortened
from mnist_client.rendering.wording import percent, plural
from mnist_shared.contracts.requests import ExportRequest, OnTarget, ResumeRequest
from mnist_shared.contracts.runs import RunRecord, RunState, VerifyResult

UNICODE = ("├─ ", "└─ ", "│  ", "   ")
ASCII = ("|- ", "`- ", "|  ", "   ")
HERE = "  <- this run"


def tree_lines(root: Kin, paper: Paper, *, here: str) -> list[str]:
    """A line a run; `here` is the one that was asked for."""
    return list(_branch(root, paper, here=here, lead="", stem=""))


def _branch(kin: Kin, paper: Paper, *, here: str, lead: str, stem: str) -> Iterator[str]:
    """`lead` stands before this run's line, `stem` before those of its children."""
    mark = HERE if kin.run_id == here else ""
    room = 10_000 if paper.width is None else paper.width - len(lead) - len(mark)
    text = shortened(_words(kin), room, ellipsis=paper.ellipsis)
    colour = STATE_COLOURS[kin.record.state] if kin.record is not None else None
    yield lead + paper.paint(text, fg=colour, bold=bool(mark)) + mark
    tee, corner, bar, blank = UNICODE if paper.is_unicode else ASCII
    rest = [plural(kin.num_hidden, "other")] if kin.num_hidden else []
    for number, child in enumerate(kin.children):
        is_last = number == len(kin.children) - 1 and not rest
        branch, trunk = (corner, blank) if is_last else (tee, bar)
        yield from _branch(child, paper, here=here, lead=stem + branch, stem=stem + trunk)
    for words in rest:
        yield f"{stem}{corner}{words}"


def _words(kin: Kin) -> str:
    record = kin.record
    if record is None:
        return f"{kin.run_id}  not known any more"
    parts = (record.id, record.options.name or "", f"{_what(record)}: {_end(record)}")
    return "  ".join(part for part in parts if part)


def _what(record: RunRecord) -> str:
    if isinstance(record.request, ExportRequest):
        return f"export to {record.request.file_format}"
    if isinstance(record.request, OnTarget):
        return record.request.kind
    epochs = plural(record.request.config.epochs, "epoch")
    if isinstance(record.request, ResumeRequest):
        return f"resume to {epochs}"
    return f"{'retry' if record.options.retry_of else 'train'}, {epochs}"


def _end(record: RunRecord) -> str:
    words = str(record.state)
    if record.state is RunState.RUNNING and progress_words(record):
        words += f" {progress_words(record)}"
    if isinstance(record.result, VerifyResult):
        return f"{words}, {'identical' if record.result.identical else 'differs'}"
    accuracy = best_accuracy(record)
    return words if accuracy is None else f"{words}, {percent(accuracy)}"
