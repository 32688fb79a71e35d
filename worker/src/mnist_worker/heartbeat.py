"""A file that a worker's main process keeps fresh, and `mnist-worker-health`, which looks at it.

A container's health check runs every few seconds beside the training, so it must cost next to nothing: it imports no
Celery and asks no broker. That the broker is away is not a worker's illness, and no restart would cure it.

This module stands on the standard library alone.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Literal, NamedTuple

log = logging.getLogger(__name__)

FILE_VARIABLE = "MNIST_HEARTBEAT_FILE"
# The thread that beats may wait twice for a broker that does not answer (5 s each) between two beats.
STALE_SECONDS = 30.0

Stage = Literal["starting", "ready"]


class Heartbeat:
    """Writes the file; without a path it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_broken = False

    @classmethod
    def from_environment(cls) -> "Heartbeat":
        """At the path in MNIST_HEARTBEAT_FILE, where that is set."""
        path = os.environ.get(FILE_VARIABLE)
        return cls(Path(path) if path else None)

    def beat(self, stage: Stage) -> None:
        """Say that this process lives, and whether it can take runs. A file that cannot be written is told of once."""
        if self._path is None:
            return
        try:
            self._write(self._path, stage)
            self._is_broken = False
        except OSError as error:
            if not self._is_broken:
                log.warning("the heartbeat cannot be written: %s", error)
            self._is_broken = True

    def _write(self, path: Path, stage: Stage) -> None:
        # The monotonic clock is the machine's, not the process's, and nobody sets it.
        text = json.dumps({"beat_at": time.monotonic(), "stage": stage, "pid": os.getpid()})
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        aside.write_text(text, encoding="ascii")
        aside.replace(path)  # a reader never sees half of it

    def stop(self) -> None:
        """Take the file away: who has stopped is not healthy."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class Health(NamedTuple):
    healthy: bool
    words: str


def read_health(path: Path, *, needs_ready: bool, stale_seconds: float = STALE_SECONDS) -> Health:
    """What the file at `path` says now."""
    try:
        found = json.loads(path.read_text(encoding="ascii"))
        age, stage = time.monotonic() - float(found["beat_at"]), str(found["stage"])
    except FileNotFoundError:
        return Health(False, f"{path} is not there: the worker has not started yet, or has stopped")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Health(False, f"{path} cannot be read: {error!r}")
    if not 0 <= age <= stale_seconds:  # a beat from the future is one from before the machine was restarted
        return Health(False, f"the last beat is {age:.0f} s old")
    if needs_ready and stage != "ready":
        return Health(False, "the worker is still loading torch")
    return Health(True, f"{stage}, last beat {age:.1f} s ago")


def main() -> None:
    """`mnist-worker-health [--ready]`: exit 0 when the worker lives; with --ready, when it can take runs as well."""
    arguments = sys.argv[1:]
    if set(arguments) - {"--ready"}:
        print("usage: mnist-worker-health [--ready]", file=sys.stderr)
        sys.exit(2)
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        print(f"error: {FILE_VARIABLE} is not set, for the worker and here alike.", file=sys.stderr)
        sys.exit(2)
    health = read_health(Path(path), needs_ready="--ready" in arguments)
    print(health.words)
    sys.exit(0 if health.healthy else 1)


if __name__ == "__main__":
    main()
