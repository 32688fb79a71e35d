"""A few lines at the bottom of what a terminal shows, drawn over and over, while other lines appear above them."""

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TextIO

from mnist_client.rendering.output import USUAL_WIDTH, width_of
from mnist_client.rendering.suspension import suspendable
from mnist_client.rendering.table import cell_width

FRAMES_PER_SECOND = 8
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ERASE_LINE, UP = "\r\x1b[2K", "\x1b[1A"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class LiveRegion:
    """`lines` makes the region's lines for a width; it is called by a thread, FRAMES_PER_SECOND times a second.

    Each change is one write, so that no half-drawn frame is seen.
    """

    def __init__(self, stream: TextIO, lines: Callable[[int], Sequence[str]]) -> None:
        self._stream, self._lines = stream, lines
        self._drawn: Sequence[str] = ()
        self._lock = threading.RLock()  # reentrant: Ctrl-Z is handled wherever the main thread happens to be
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._take()
        self._stack.callback(self._give_back)
        self._stack.enter_context(suspendable(self._give_back, self._take))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._stack.close()

    def print(self, line: str) -> None:
        """A line that stays, above the region."""
        with self._lock:
            erased = self._erased()
            self._drawn = self._lines(self._width)
            self._write(f"{erased}{line}\n" + "\n".join(self._drawn))

    def draw(self) -> None:
        """Draw the region as it is now, where that is something else than what is drawn."""
        with self._lock:
            lines = self._lines(self._width)
            if list(lines) != list(self._drawn):
                erased = self._erased()
                self._drawn = lines
                self._write(erased + "\n".join(lines))

    @property
    def _width(self) -> int:
        return (width_of(self._stream) or USUAL_WIDTH) - 1

    def _redraw(self) -> None:
        while not self._ended.wait(1 / FRAMES_PER_SECOND):
            try:
                self.draw()
            except (OSError, ValueError):  # the terminal is gone; whoever prints next finds out
                return

    def _erased(self) -> str:
        """What erases the region. A terminal made narrower since has broken its lines into more of them."""
        width = self._width + 1
        rows = sum(max(-(-cell_width(COLOURS.sub("", line)) // width), 1) for line in self._drawn)
        return ERASE_LINE + (UP + ERASE_LINE) * (rows - 1) if rows else ""

    def _take(self) -> None:
        with self._lock:
            self._drawn = ()
            self._write(HIDE_CURSOR)

    def _give_back(self) -> None:
        with self._lock:
            erased = self._erased() or ERASE_LINE  # an echoed ^C
            self._drawn = ()
            self._write(erased + SHOW_CURSOR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
