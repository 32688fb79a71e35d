"""One run in detail: what was asked for, how far it is, how it ended, what it takes to do it again."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_client.rendering.facts import facts
from mnist_client.rendering.output import Paper, one_line
from mnist_client.rendering.reproducibility import reproducibility_facts
from mnist_client.rendering.rows import row_lines
from mnist_client.rendering.sections import attempt_columns, checkpoint_columns, epoch_columns
from mnist_client.rendering.tree import tree_lines

if TYPE_CHECKING:
    from mnist_client.portrait import Portrait
    from mnist_client.rendering.table import Column

LABEL_WIDTH = 15
INDENT = "  "
MIN_WIDTH = 20  # of a value; a terminal narrower than both together wraps by itself
NUM_EPOCHS = 10  # the last ones, where not all are asked for


def details_lines(portrait: "Portrait", paper: Paper, *, all_epochs: bool = False) -> list[str]:
    """All that is known of the run, in sections."""
    record, history = portrait.record, portrait.history
    lines = _labelled(facts(portrait, paper), paper)
    lines += _section(
        "reproducibility",
        _labelled([(*one, None) for one in reproducibility_facts(record, history)], paper, INDENT),
        paper,
    )
    lines += _table("attempts", attempt_columns(history, now=portrait.now), paper)
    if portrait.checkpoints is not None:
        lines += _table("checkpoints", checkpoint_columns(portrait.checkpoints, last=record.checkpoint), paper)
    elif record.checkpoint is not None:
        title = "checkpoints (the volume is not to be seen from here: the last one)"
        lines += _table(title, checkpoint_columns([record.checkpoint], last=record.checkpoint), paper)
    epochs = history.epochs if all_epochs else history.epochs[-NUM_EPOCHS:]
    left_out = len(history.epochs) - len(epochs)
    title = f"epochs (the last {len(epochs)} of {len(history.epochs)}: --epochs shows all)" if left_out else "epochs"
    lines += _table(title, epoch_columns(epochs), paper)
    if portrait.family.children:
        narrow = _indented(paper)
        lines += _section(
            "lineage", [INDENT + line for line in tree_lines(portrait.family, narrow, here=record.id)], paper
        )
    return lines


def _labelled(found: "Iterable[tuple[str, str, str | None]]", paper: Paper, indent: str = "") -> list[str]:
    lines, label_width = [], LABEL_WIDTH - len(indent)
    for label, text, fg in found:
        room = 10_000 if paper.width is None else max(paper.width - LABEL_WIDTH, MIN_WIDTH)
        for part in textwrap.wrap(one_line(text), room) or [""]:
            lines.append(indent + paper.paint(label.ljust(label_width), bold=True) + paper.paint(part, fg=fg))
            label = ""
    return [line.rstrip() for line in lines]


def _table(title: str, columns: "Sequence[Column]", paper: Paper) -> list[str]:
    if not columns or not columns[0].cells:
        return []
    return _section(title, [INDENT + line for line in row_lines(columns, paper=_indented(paper))], paper)


def _section(title: str, lines: Sequence[str], paper: Paper) -> list[str]:
    return ["", paper.paint(title, bold=True), *lines] if lines else []


def _indented(paper: Paper) -> Paper:
    width = None if paper.width is None else paper.width - len(INDENT)
    return replace(paper, width=width)
