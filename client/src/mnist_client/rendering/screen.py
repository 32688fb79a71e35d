"""A terminal's whole screen, drawn over and over without flicker.

The alternate screen is used: there no line wraps or scrolls, so a resize leaves nothing behind, and what the terminal
showed before comes back at the end. A frame is one write, between the marks of a synchronized update.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TextIO

from mnist_client.rendering.output import Output, Paper, height_of, width_of
from mnist_client.rendering.suspension import suspendable

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"
ERASE_REST = "\x1b[K"


class Screen:
    """Drawn on `stream`, with the keys of the terminal at stdin, where there is one. Restores both at its end."""

    def __init__(self, output: Output, *, stream: TextIO) -> None:
        self._output, self._stream = output, stream
        self._saved: Any = None  # the terminal's mode before
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._take()
        self._stack.callback(self._give_back)
        self._stack.enter_context(suspendable(self._give_back, self._take))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def paper(self) -> Paper:
        """One column less than the terminal has: a line that fills the last one would begin the next."""
        paper = self._output.paper(self._stream)
        assert paper.width is not None
        return Paper(width=max(paper.width - 1, 1), colors=paper.colors, is_unicode=paper.is_unicode)

    @property
    def size(self) -> tuple[int | None, int | None]:
        return width_of(self._stream), height_of(self._stream)

    def draw(self, lines: Sequence[str], *, cut: str = "... {} more lines") -> None:
        """Show the lines; of more than there is room for, the first ones and `cut` with the number of the others."""
        height = height_of(self._stream) or len(lines)
        if len(lines) > height:
            lines = [*lines[: height - 1], cut.format(len(lines) - height + 1)]
        self._stream.write(BEGIN + "\n".join(line + ERASE_REST for line in lines) + END)
        self._stream.flush()

    def key(self, seconds: float) -> str:
        """The key that is pressed within so long; empty when none is, or one that sends several characters."""
        if sys.platform == "win32":
            return _windows_key(seconds)
        import select

        if self._saved is None:
            select.select([], [], [], seconds)
            return ""
        if not select.select([sys.stdin], [], [], seconds)[0]:
            return ""
        typed = os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace")
        if not typed:
            raise KeyboardInterrupt  # the terminal is gone
        return typed if len(typed) == 1 else ""

    def _take(self) -> None:
        if sys.platform != "win32" and sys.stdin.isatty():
            import termios
            import tty

            self._saved = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        self._stream.write(ENTER)
        self._stream.flush()

    def _give_back(self) -> None:
        self._stream.write(LEAVE)
        self._stream.flush()
        if sys.platform != "win32" and self._saved is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)


if sys.platform == "win32":

    def _windows_key(seconds: float) -> str:
        import msvcrt
        import time

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if msvcrt.kbhit():
                return msvcrt.getwch()
            time.sleep(0.05)
        return ""
