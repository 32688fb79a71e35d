"""Where text goes: data to stdout, talk to stderr; and whether there it may be coloured, and how wide."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

import typer

USUAL_WIDTH = 80  # of a terminal that does not say


@dataclass(frozen=True)
class Output:
    """The two streams of a command, under the user's wishes."""

    quiet: bool = False  # no talk; errors and data only
    no_color: bool = False

    def data(self, text: str) -> None:
        """What was asked for. Flushed, so that a reader at the other end of a pipe has it now."""
        print(text, flush=True)

    def talk(self, text: str) -> None:
        """What helps a human, and what no script should read."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Talk about something that will probably surprise."""
        self.talk(f"{self.paint('warning:', sys.stderr, fg='yellow')} {text}")

    def error(self, text: str) -> None:
        """Why the command could not do what it was asked to, in one line."""
        print(f"{self.paint('error:', sys.stderr, fg='red')} {one_line(text)}", file=sys.stderr, flush=True)

    def paint(self, text: str, stream: TextIO, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
        """`text` in colour, where `stream` shows colours."""
        if not text or not self.colors(stream):
            return text
        return typer.style(text, fg=fg, bold=bold or None, dim=dim or None)

    def colors(self, stream: TextIO) -> bool:
        """Whether `stream` shows colours: a capable terminal, and nobody said no (https://no-color.org)."""
        return not self.no_color and not os.environ.get("NO_COLOR") and is_capable_terminal(stream)


def is_capable_terminal(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether `stream` is a terminal that can move its cursor."""
    environment = os.environ if environment is None else environment
    return stream.isatty() and environment.get("TERM", "") not in ("dumb", "unknown")


def width_of(stream: TextIO) -> int | None:
    """The columns of the terminal behind `stream`; None where there is none, and lines may be as long as they are."""
    if not stream.isatty():
        return None
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdigit() and int(wanted):
        return int(wanted)
    return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH


def is_unicode(stream: TextIO) -> bool:
    """Whether `stream` can show more than its code page."""
    return (stream.encoding or "ascii").lower().replace("-", "").startswith("utf")


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: it may come from a record, and reach a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
