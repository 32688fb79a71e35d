"""Numbers and places in words."""

import pytest

from mnist_client.rendering.wording import brief, place_in_training


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0s"), (0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (200, "3m20s"), (3599, "59m59s"), (3600, "1h00m"),
        (3900, "1h05m"), (86_400, "1d00h"), (183_600, "2d03h"),
    ],
)  # fmt: skip
def test_a_duration_for_a_narrow_column(seconds: float, words: str) -> None:
    assert brief(seconds) == words


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0, 0, 938), "the start"),
        ((3, 0, 938), "the end of epoch 3"),
        ((2, 120, 938), "epoch 3, batch 120 (step 1,996)"),
        ((2, 120, None), "epoch 3, batch 120"),
    ],
)
def test_a_place_in_training(place: tuple[int, int, int | None], words: str) -> None:
    assert place_in_training(*place) == words
