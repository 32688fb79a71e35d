"""Columns as lines of text: a title line, then one line a row."""

from collections.abc import Sequence

from mnist_client.rendering.output import Paper
from mnist_client.rendering.table import GAP, Cell, Column, fitting


def row_lines(columns: Sequence[Column], *, paper: Paper) -> list[str]:
    """The table, with those columns for which the paper is wide enough."""
    shown = fitting(columns, width=paper.width, ellipsis=paper.ellipsis)
    if not shown:
        return []
    lines = [paper.paint(GAP.join(column.aligned(column.title) for column in shown).rstrip(), bold=True)]
    for number in range(len(shown[0].cells)):
        lines.append(GAP.join(painted(column, column.cells[number], paper) for column in shown).rstrip())
    return lines


def painted(column: Column, cell: Cell, paper: Paper) -> str:
    """The cell, as wide as its column; the spaces bear no colour."""
    padded = column.aligned(cell.text)
    if not cell.text:
        return padded
    return padded.replace(cell.text, paper.paint(cell.text, fg=cell.fg, bold=cell.bold, dim=cell.dim), 1)
