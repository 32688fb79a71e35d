"""A small grey picture in a terminal: two pixels a letter, one above the other."""

import os
from collections.abc import Sequence

from mnist_client.rendering.output import Paper

FIRST_GREY, NUM_GREYS = 232, 24  # of the 256 colours
BRIGHT = 96  # what counts as lit where there are no greys
RAMP = " .:-=+*#%@"
BLOCKS = " ▄▀█"  # by upper lit * 2 + lower lit


def pixel_lines(rows: Sequence[Sequence[int]], paper: Paper) -> list[str]:
    """Rows of greys (0 to 255), an even number, as half as many lines: in greys, in blocks, or in ASCII."""
    pairs = [zip(upper, lower, strict=True) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]
    if not paper.is_unicode:
        return ["".join(_letter(upper + lower) for upper, lower in pair).rstrip() for pair in pairs]
    if paper.colors and _has_greys():
        return [_greys(list(pair)) for pair in pairs]
    return [
        "".join(BLOCKS[2 * (upper >= BRIGHT) + (lower >= BRIGHT)] for upper, lower in pair).rstrip() for pair in pairs
    ]


def _greys(pairs: list[tuple[int, int]]) -> str:
    line, before = "", None
    for upper, lower in pairs:
        colours = f"\x1b[38;5;{_grey(upper)};48;5;{_grey(lower)}m"
        line += ("" if colours == before else colours) + BLOCKS[2]
        before = colours
    return f"{line}\x1b[0m"


def _grey(value: int) -> int:
    return FIRST_GREY + value * (NUM_GREYS - 1) // 255


def _letter(both: int) -> str:
    return RAMP[both * (len(RAMP) - 1) // 510]


def _has_greys() -> bool:
    return "256color" in os.environ.get("TERM", "") or bool(os.environ.get("COLORTERM"))
