"""Round numbers for an axis."""

import math
from dataclasses import dataclass

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """From `low` to `high`, with a tick at each multiple of `step` between them."""

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]

    def share(self, value: float) -> float:
        """Where between the ends `value` lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def label(self, value: float) -> str:
        """`value` with as many decimals as the step needs."""
        exponent = math.floor(math.log10(self.step) + 1e-9)
        decimals = max(0, -exponent)
        if not math.isclose(self.step, round(self.step, decimals), rel_tol=1e-6):
            decimals += 1  # 2.5
        if abs(self.high) < 1e-3:
            return f"{value:.{decimals + math.floor(math.log10(abs(self.high)))}e}" if value else "0"
        return f"{value:,.{decimals}f}"


def fit(values: list[float], *, num_steps: int) -> Scale:
    """A scale that `values` fill, with at most about `num_steps` steps of a round length."""
    low, high = min(values), max(values)
    if math.isclose(low, high, rel_tol=1e-9, abs_tol=1e-12):  # one value, or a flat line: room above and below
        margin = abs(high) / 100 or 1.0
        low, high = low - margin, high + margin
    step = round_step((high - low) / max(num_steps, 1))
    return Scale(low, high, step)


def round_step(least: float, *, whole: bool = False) -> float:
    """The shortest round step that is not shorter than `least`; a whole number where asked for."""
    if whole and least <= 1:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(least))
    steps = [unit * factor for factor in ROUND if not (whole and unit * factor % 1)]
    return next(step for step in steps if step >= least * (1 - 1e-9))
