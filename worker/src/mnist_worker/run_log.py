"""What a worker has to say about one run, in `worker.log` of the run's folder: attempt after attempt, one line each.

Appended to the file as it is said, so that `mnist-client logs -f` sees it, and that a killed worker's last words stay.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

# Threads that speak of the worker and of others' runs; with a solo pool they are in the process that executes runs.
ELSEWHERE = frozenset({"reaper", "pruner", "presence"})


@contextmanager
def run_log(path: Path, *, run_id: str, worker: str, attempt: int) -> Iterator[None]:
    """While this lasts, append to the file at `path` what the process logs.

    A file that cannot be written costs nothing but its lines: the run goes on.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        log.warning("run %s: its log is not kept: %s", run_id, error)
        yield
        return
    handler = _Appender(descriptor, run_id=run_id, prefix=f"{worker} attempt {attempt}: ")
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        os.close(descriptor)


class _Appender(logging.Handler):
    """`2026-11-23T14:00:00Z INFO worker-1 attempt 2: text`; a traceback is appended as it is, on lines of its own."""

    def __init__(self, descriptor: int, *, run_id: str, prefix: str) -> None:
        super().__init__()
        self._descriptor, self._run, self._prefix = descriptor, f"run {run_id}: ", prefix
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName in ELSEWHERE:
            return
        try:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
            text = self._formatter.format(record).removeprefix(self._run)
            line = f"{at} {record.levelname} {self._prefix}{text}\n"
            os.write(self._descriptor, line.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # a full disk: the worker's own log has the line too
        except Exception:
            self.handleError(record)
