"""What a narrow code page shows instead of what it lacks."""

import io

import pytest

from mnist_client.rendering.encoding import make_safe
from mnist_client.rendering.output import is_unicode


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", 'Zurich... -> ? "x" Lodz'),
        ("cp1252", "Zürich… -> ? “x” Lódz"),
        ("cp437", 'Zürich... -> ? "x" Lódz'),
        ("utf-8", "Zürich… → ✗ “x” Łódź"),
    ],
)
def test_letters_lose_their_accents_before_they_are_lost(encoding: str, expected: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    make_safe(stream)
    print("Zürich… → ✗ “x” Łódź", file=stream, end="", flush=True)
    assert raw.getvalue().decode(encoding) == expected


def test_a_path_that_is_no_text_is_printed_too() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    make_safe(stream)
    print("/data/\udcff", file=stream, end="", flush=True)
    assert raw.getvalue() == b"/data/?"


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", True), ("UTF-8", True), ("cp1252", False), ("ascii", False)]
)
def test_bars_and_branches_need_a_unicode_stream(encoding: str, expected: bool) -> None:
    assert is_unicode(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is expected
