"""A worker's log of one run, read from its end or as it grows."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 65_536
_LINE = re.compile(r"(\S+Z) ([A-Z]+) (\S+) attempt (\d+): (.*)", re.DOTALL)


@dataclass(frozen=True)
class LogLine:
    """A line as its worker wrote it. What belongs to the line before it, such as a traceback, has no level."""

    text: str
    at: str | None = None
    level: str | None = None
    worker: str | None = None
    attempt: int | None = None


def parse(line: str) -> LogLine:
    """The parts of `2026-11-23T14:00:00Z INFO worker-1 attempt 2: text`; any other line is all text."""
    found = _LINE.fullmatch(line)
    if found is None:
        return LogLine(line)
    at, level, worker, attempt, text = found.groups()
    return LogLine(text, at=at, level=level, worker=worker, attempt=int(attempt))


class LogReader:
    """Reads whole lines of a file that somebody else appends to. No file yet: nothing to read yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        self._rest = b""

    def skip_to_last(self, count: int) -> None:
        """Go on with the last `count` lines. Raises OSError."""
        try:
            with self.path.open("rb") as file:
                self._position = _start_of_last(file.fileno(), count)
        except FileNotFoundError:
            self._position = 0

    def read(self) -> list[str]:
        """The lines that were finished since the last call. Raises OSError."""
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._position:  # somebody has emptied it
                    self._position, self._rest = 0, b""
                file.seek(self._position)
                content = file.read()
        except FileNotFoundError:
            return []
        self._position += len(content)
        *whole, self._rest = (self._rest + content).split(b"\n")
        return [_decoded(line) for line in whole]

    def read_rest(self) -> list[str]:
        """What is left at the end: the lines since the last call, the unfinished one too. Raises OSError."""
        lines = self.read()
        rest, self._rest = self._rest, b""
        return [*lines, _decoded(rest)] if rest else lines


def _start_of_last(descriptor: int, count: int) -> int:
    """Where the last `count` lines begin."""
    end = position = os.fstat(descriptor).st_size
    breaks = 0
    while count and position > 0:
        size = min(BLOCK_BYTES, position)
        position -= size
        block = os.pread(descriptor, size, position)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if position + at == end - 1:  # that which ends the last line
                continue
            breaks += 1
            if breaks >= count:
                return position + at + 1
    return 0 if count else end


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
