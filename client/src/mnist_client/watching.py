"""Show something again and again, until it has ended or somebody ends the looking."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from mnist_client import exits
from mnist_client.rendering.output import Paper, is_capable_terminal
from mnist_shared.errors import BrokerRefused, BrokerUnreachable

if TYPE_CHECKING:
    from mnist_client.context import CommandContext
    from mnist_client.rendering.screen import Screen

T = TypeVar("T")

KEY_SECONDS = 0.1  # how soon a new size of the terminal is seen
ENDS, AGAIN = ("q", "Q", "\x1b"), ("r", " ")  # keys
RETRY_WORDS = "trying again"


def watch(
    context: "CommandContext",
    load: Callable[[], T],
    lines: Callable[[T, Paper], Sequence[str]],
    *,
    seconds: float,
    has_ended: Callable[[T], bool] = lambda _: False,
    as_json: Callable[[T], str] | None = None,
) -> int:
    """Load and show every `seconds`: in place on a terminal, elsewhere one after the other. Ctrl-C ends it too.

    While the broker does not answer, what was shown last stays, with a word about it.
    """
    shown: list[T] = []
    try:
        if as_json is None and is_capable_terminal(sys.stdout):
            from mnist_client.rendering.screen import Screen

            try:
                with Screen(context.output, stream=sys.stdout) as screen:
                    _on_screen(screen, load, lines, seconds=seconds, has_ended=has_ended, shown=shown)
            finally:
                if shown:  # the last of it stays, below the prompt
                    context.output.data("\n".join(lines(shown[-1], context.output.paper(sys.stdout))))
        else:
            _one_after_the_other(context, load, lines, seconds=seconds, has_ended=has_ended, as_json=as_json)
    except KeyboardInterrupt:
        pass
    return exits.OK


def _on_screen(
    screen: "Screen",
    load: Callable[[], T],
    lines: Callable[[T, Paper], Sequence[str]],
    *,
    seconds: float,
    has_ended: Callable[[T], bool],
    shown: list[T],
) -> None:
    """`shown` gets what was loaded last."""
    help_line = f"every {seconds:g} s; q ends"
    while True:
        trouble = ""
        try:
            shown[:] = [load()]
        except BrokerUnreachable as error:
            if not shown or isinstance(error, BrokerRefused):
                raise
            trouble = f"{error.message} {RETRY_WORDS} ..."
        if shown and has_ended(shown[-1]):
            return
        deadline, size = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            if screen.size != size:
                size, paper = screen.size, screen.paper
                last = paper.paint(trouble or help_line, dim=not trouble, fg="red" if trouble else None)
                screen.draw([*lines(shown[-1], paper), "", last], cut=f"... {{}} more lines; {help_line}")
            key = screen.key(min(KEY_SECONDS, max(deadline - time.monotonic(), 0)))
            if key in ENDS:
                return
            if key in AGAIN:
                break


def _one_after_the_other(
    context: "CommandContext",
    load: Callable[[], T],
    lines: Callable[[T, Paper], Sequence[str]],
    *,
    seconds: float,
    has_ended: Callable[[T], bool],
    as_json: Callable[[T], str] | None,
) -> None:
    is_first = True
    while True:
        try:
            now = load()
        except BrokerUnreachable as error:
            if is_first or isinstance(error, BrokerRefused):
                raise
            context.output.talk(f"{error.message} {RETRY_WORDS} ...")
        else:
            text = as_json(now) if as_json else "\n".join(lines(now, context.output.paper(sys.stdout)))
            context.output.data(text if is_first or as_json else f"\n{text}")
            is_first = False
            if has_ended(now):
                return
        time.sleep(seconds)
