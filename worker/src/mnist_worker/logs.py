"""A worker's log lines: for people, or as JSON for containers, each with the worker, and the run that it is about."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO, get_args

LogFormat = Literal["text", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)
FORMAT_VARIABLE = "MNIST_LOG_FORMAT"
LEVELS = ("debug", "info", "warning", "error")
LEVEL_VARIABLE = "MNIST_LOG_LEVEL"
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# One run at a time in a process, whatever thread speaks of it: so this is the process's, not a thread's.
_run: dict[str, Any] = {}


@contextmanager
def about_run(run_id: str, *, attempt: int) -> Iterator[None]:
    """While this lasts, the process's log lines bear the run and the attempt."""
    _run.update(run=run_id, attempt=attempt)
    try:
        yield
    finally:
        _run.clear()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at (UTC), level, worker, run, attempt, logger, message; of an error, its traceback."""

    def __init__(self, *, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"at": f"{seconds}.{record.msecs:03.0f}Z", "level": record.levelname.lower(), "worker": self._worker}
        line |= _run | {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logging(*, level: str, log_format: LogFormat, worker: str, stream: TextIO | None = None) -> None:
    """Send the process's log to `stream` (stderr), and what Python itself warns of with it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(worker=worker) if log_format == "json" else logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(log_format == "json")  # a warning on stderr would be the one line that is no JSON
