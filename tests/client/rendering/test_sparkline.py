"""The bars of a loss: one scale for all runs."""

import math

import pytest

from mnist_client.rendering.sparkline import ASCII_BARS, BARS, level, sparkline


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (0.0, 0), (-1.0, 0), (0.0199, 0), (0.0201, 1), (0.041, 2), (0.081, 3), (0.161, 4), (0.321, 5), (0.641, 6),
        (1.281, 7), (2.3, 7), (50.0, 7), (math.inf, 7), (math.nan, 7),
    ],
)  # fmt: skip
def test_each_bar_stands_for_twice_the_loss_of_the_one_below(loss: float, expected: int) -> None:
    assert level(loss) == expected


def test_the_same_loss_is_the_same_bar_whatever_stands_beside_it() -> None:
    assert sparkline([2.3, 0.05], width=8, is_unicode=True)[-1] == sparkline([0.05, 0.01], width=8, is_unicode=True)[0]


def test_more_epochs_than_columns_share_them_and_the_last_one_is_shown() -> None:
    losses = [2.0] * 50 + [0.011] * 50
    assert sparkline(losses, width=4, is_unicode=True) == "██▁▁"
    assert sparkline([*losses, 2.0], width=4, is_unicode=True)[-1] == "█"
    assert sparkline([2.0, 0.011], width=8, is_unicode=True) == "█▁"
    assert sparkline([], width=8, is_unicode=True) == ""


def test_there_is_an_ascii_row_of_as_many_bars() -> None:
    assert len(BARS) == len(set(ASCII_BARS)) == len(ASCII_BARS)
    assert sparkline([2.0, 0.011], width=8, is_unicode=False) == "#_"
