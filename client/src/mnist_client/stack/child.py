"""A process of the stack: it ends with its parent, and hears of the terminal's Ctrl-C only through it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LINES_KEPT = 20
CHUNK_BYTES = 65_536


class Child:
    """A process in a session of its own, started from the main thread (the death of the starting thread counts as the
    parent's); where it has an output, that is read without waiting."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: bytes | None = None,
        reads_output: bool = True,
    ) -> None:
        output = subprocess.PIPE if reads_output else subprocess.DEVNULL
        self.started_at = time.monotonic()
        self.last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._rest = b""
        self.process = subprocess.Popen(
            arguments,
            env=dict(environment),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_ends_with_parent(),
        )
        if stdin is not None:
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):  # it has died already; its exit code says so
                self.process.stdin.write(stdin)
                self.process.stdin.close()
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self.process.poll()

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.started_at

    def read_lines(self) -> list[str]:
        """The whole lines that it has written since the last call; at its end also the unfinished one."""
        if self.process.stdout is None or self.process.stdout.closed:
            return []
        ended = self.exit_code is not None
        chunks = [self._rest]
        with suppress(BlockingIOError):
            while chunk := os.read(self.process.stdout.fileno(), CHUNK_BYTES):
                chunks.append(chunk)
        *whole, self._rest = b"".join(chunks).split(b"\n")
        if ended and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        self.last_lines.extend(lines)
        return lines

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.exit_code is None:
            self.process.terminate()

    def kill(self) -> None:
        """End it, and with it what it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.exit_code is None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """It has ended: take what it left behind out of the way."""
        self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()


def _ends_with_parent() -> Callable[[], None] | None:
    """On Linux: a SIGTERM for the child when its parent dies, even by SIGKILL."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return in_child
