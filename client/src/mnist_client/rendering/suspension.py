"""Ctrl-Z while a terminal is drawn on: the shell gets it back as it was, and `fg` goes on drawing."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def suspendable(give_back: Callable[[], None], take: Callable[[], None]) -> Iterator[None]:
    """Within, Ctrl-Z calls `give_back`, stops the process, and calls `take` once it goes on."""
    if not hasattr(signal, "SIGTSTP"):
        yield
        return

    def stop(*_: object) -> None:
        give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        take()

    before = signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
