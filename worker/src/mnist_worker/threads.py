"""A background thread that does one thing again and again, and outlives the failures of that thing."""

import logging
import threading
from collections.abc import Callable

from mnist_shared.errors import BrokerUnreachable

log = logging.getLogger(__name__)


class Repeating:
    """Call `action` every `seconds`, the first time at once, until stopped."""

    def __init__(self, action: Callable[[], None], *, seconds: float, name: str) -> None:
        self._action, self._seconds, self._name = action, seconds, name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a call under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _loop(self) -> None:
        reachable = True
        while not self._stop.is_set():
            try:
                self._action()
                reachable = True
            except BrokerUnreachable as error:
                if reachable:
                    log.warning("%s: %s It goes on when the broker is back.", self._name, error.message)
                reachable = False
            except Exception:
                # The edge of the thread: were it to die, no run would ever be recovered by this worker.
                log.exception("%s failed; it is tried again in %g s", self._name, self._seconds)
            self._stop.wait(self._seconds)
