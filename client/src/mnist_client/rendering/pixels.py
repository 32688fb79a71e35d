"""A small grey picture in a terminal: two pixels a letter, one above the other."""

import os
from typing import TYPE_CHECKING

from mnist_client.rendering.output import Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST_GREY, NUM_GREYS = 232, 24  # of the 256 colours
BRIGHT = 96  # what counts as lit where there are no greys
RAMP = " .:-=+*#%@"
BLOCKS = " ▄▀█"  # by upper lit * 2 + lower lit


def pixel_lines(field: "NDArray[np.uint8]", paper: Paper) -> list[str]:
    """uint8 [rows, columns], an even number of rows, as half as many lines: in greys, in blocks, or in ASCII."""
    pairs = [zip(field[row], field[row + 1], strict=True) for row in range(0, len(field), 2)]
    if not paper.is_unicode:
        return ["".join(_letter(int(upper) + int(lower)) for upper, lower in pair).rstrip() for pair in pairs]
    if paper.colors and _has_greys():
        return [_greys([(int(upper), int(lower)) for upper, lower in pair]) for pair in pairs]
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
