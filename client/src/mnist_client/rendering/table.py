"""Columns of text that fit the terminal: the least important ones make room first."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
    importance: float  # the highest is the last to go when there is no room
    right: bool = False  # numbers are aligned at the right
    shrinks_to: int | None = None  # to so many columns its texts may be cut before it goes
    width: int = field(init=False)

    def __post_init__(self) -> None:
        widest = max([len(self.title), *(cell_width(cell.text) for cell in self.cells)])
        object.__setattr__(self, "width", widest)

    @property
    def min_width(self) -> int:
        return self.width if self.shrinks_to is None else min(self.width, max(self.shrinks_to, len(self.title)))

    def aligned(self, text: str) -> str:
        padding = " " * (self.width - cell_width(text))
        return padding + text if self.right else text + padding

    def cut_to(self, width: int, *, ellipsis: str = "…") -> "Column":
        """The same column with texts of at most `width`."""
        cells = [replace(cell, text=shortened(cell.text, width, ellipsis=ellipsis)) for cell in self.cells]
        return replace(self, cells=cells)


def fitting(columns: Sequence[Column], *, width: int | None, ellipsis: str = "…") -> list[Column]:
    """Those columns that fit side by side; all of them where there is no width to keep. Empty ones are never shown.

    The most important ones are chosen first. None is cut for a less important one: only for want of room of its own.
    """
    kept = [column for column in columns if any(cell.text for cell in column.cells)]
    if width is None or not kept:
        return kept
    by_importance = sorted(range(len(kept)), key=lambda number: kept[number].importance, reverse=True)
    chosen: dict[int, Column] = {}
    for number in by_importance:
        column = kept[number]
        room = width - total_width(list(chosen.values())) - (len(GAP) if chosen else 0)
        if column.width <= room or not chosen:
            chosen[number] = column
        elif column.min_width <= room:
            chosen[number] = column.cut_to(room, ellipsis=ellipsis)
    return [chosen[number] for number in sorted(chosen)]


def total_width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * max(len(columns) - 1, 0)


def shortened(text: str, width: int, *, ellipsis: str = "…") -> str:
    """`text`, cut to `width` columns."""
    if cell_width(text) <= width:
        return text
    kept, room = "", max(width - len(ellipsis), 0)
    for char in text:
        room -= cell_width(char)
        if room < 0:
            break
        kept += char
    return kept.rstrip() + ellipsis


def cell_width(text: str) -> int:
    """How many columns a terminal takes for `text`: two for what is wide in East Asia, none for a combining mark."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
