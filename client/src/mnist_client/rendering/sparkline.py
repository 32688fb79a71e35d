"""A row of little bars for the loss of a run's epochs, on one scale for all runs.

The scale is logarithmic and fixed: 0.01 to 2.56 in eight steps, each step twice the one below. So a bar that falls by
one has halved the loss, and bars of different runs, rows and days compare. An untrained network of ten classes (2.3)
stands at the top.
"""

import math
from collections.abc import Sequence

LOWEST = 0.01  # below the second bar: 0.02
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.:-=+*#"
SCALE = "0.01 to 2.56, each step twice the one below"


def level(loss: float) -> int:
    """Which of the eight bars stands for `loss`. What is no number stands at the top."""
    if not math.isfinite(loss):
        return len(BARS) - 1
    if loss <= LOWEST:
        return 0
    return min(int(math.log2(loss / LOWEST)), len(BARS) - 1)


def sparkline(losses: Sequence[float], *, width: int, is_unicode: bool) -> str:
    """The losses from the first to the last; with more of them than `width`, every so many share a bar: their last."""
    bars = BARS if is_unicode else ASCII_BARS
    num_bars = min(len(losses), width)
    return "".join(bars[level(losses[(number + 1) * len(losses) // num_bars - 1])] for number in range(num_bars))
