"""Where text goes: data to stdout, talk to stderr; and whether there it may be coloured, how wide, in which letters."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

import typer

USUAL_WIDTH = 80  # of a terminal that does not say
USUAL_HEIGHT = 24


@dataclass(frozen=True)
class Paper:
    """What lines are made for: how wide it is, whether it takes colours, and more letters than ASCII's."""

    width: int | None = None  # None: as long as a line is
    colors: bool = False
    is_unicode: bool = True

    @property
    def ellipsis(self) -> str:
        return "…" if self.is_unicode else "..."

    def paint(self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
        """`text` in colour, where there are colours."""
        if not self.colors or not text or not (fg or bold or dim):
            return text
        return typer.style(text, fg=fg, bold=bold or None, dim=dim or None)


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
        self.talk(f"{self.paint('warning:', sys.stderr, fg='magenta')} {text}")

    def error(self, text: str) -> None:
        """Why the command could not do what it was asked to, in one line."""
        print(f"{self.paint('error:', sys.stderr, fg='red')} {one_line(text)}", file=sys.stderr, flush=True)

    def paper(self, stream: TextIO) -> Paper:
        """What `stream` is, at this moment: a terminal may change its width."""
        return Paper(width=width_of(stream), colors=self.colors(stream), is_unicode=is_unicode(stream))

    def paint(self, text: str, stream: TextIO, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
        """`text` in colour, where `stream` shows colours."""
        return Paper(colors=self.colors(stream)).paint(text, fg=fg, bold=bold, dim=dim)

    def colors(self, stream: TextIO) -> bool:
        """Whether `stream` shows colours: a capable terminal, and nobody said no (https://no-color.org)."""
        return not self.no_color and not os.environ.get("NO_COLOR") and is_capable_terminal(stream)


def is_capable_terminal(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether `stream` is a terminal that can move its cursor."""
    environment = os.environ if environment is None else environment
    if not stream.isatty() or environment.get("TERM", "") in ("dumb", "unknown"):
        return False
    if sys.platform != "win32":
        return True
    from mnist_client.rendering.windows_console import understands_escapes

    return understands_escapes(stream)


def width_of(stream: TextIO) -> int | None:
    """The columns of the terminal behind `stream`; None where there is none, and lines may be as long as they are."""
    return _extent(stream, "COLUMNS", 0, usual=USUAL_WIDTH)


def height_of(stream: TextIO) -> int | None:
    """The lines of the terminal behind `stream`; None where there is none."""
    return _extent(stream, "LINES", 1, usual=USUAL_HEIGHT)


def _extent(stream: TextIO, variable: str, axis: int, *, usual: int) -> int | None:
    if not stream.isatty():
        return None
    wanted = os.environ.get(variable, "")
    if wanted.isascii() and wanted.isdigit() and int(wanted):
        return int(wanted)
    return os.get_terminal_size(stream.fileno())[axis] or usual


def is_unicode(stream: TextIO) -> bool:
    """Whether `stream` can show more than its code page. Linux's own console has no letters for it."""
    encoding = (stream.encoding or "ascii").lower()
    return encoding.startswith("utf") and not (stream.isatty() and os.environ.get("TERM") == "linux")


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: it may come from a record, and reach a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def one_line_kept(text: str) -> str:
    """`text` on one line, the spaces that align it kept."""
    return text if text.isprintable() else one_line(text)
