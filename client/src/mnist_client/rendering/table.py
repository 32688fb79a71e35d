"""Columns of text that fit the terminal: the least important ones make room first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

GAP = "  "


@dataclass(frozen=True)
class Cell:
    text: str
    fg: str | None = None
    bold: bool = False
    dim: bool = False


@dataclass(frozen=True)
class Column:
    title: str
    cells: Sequence[Cell]
    importance: int  # the lowest goes first when there is no room
    right: bool = False  # numbers are aligned at the right
    width: int = field(init=False)

    def __post_init__(self) -> None:
        widest = max([len(self.title), *(len(cell.text) for cell in self.cells)])
        object.__setattr__(self, "width", widest)

    def aligned(self, text: str) -> str:
        return text.rjust(self.width) if self.right else text.ljust(self.width)


def fitting(columns: Sequence[Column], *, width: int | None) -> list[Column]:
    """Those columns that fit side by side; all of them where there is no width to keep. Empty ones are never shown."""
    kept = [column for column in columns if any(cell.text for cell in column.cells)]
    while width is not None and len(kept) > 1 and total_width(kept) > width:
        kept.remove(min(kept, key=lambda column: column.importance))
    return kept


def total_width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


def shortened(text: str, width: int, *, ellipsis: str = "…") -> str:
    """`text`, cut to `width`."""
    if len(text) <= width:
        return text
    return text[: max(width - len(ellipsis), 0)].rstrip() + ellipsis
