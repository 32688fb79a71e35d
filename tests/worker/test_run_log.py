"""The log that each run keeps on the volume."""

import logging
import re
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_worker.run_log import run_log

RUN = "0123456789ab"
log = logging.getLogger("tests.run_log")


@pytest.fixture(autouse=True)
def _at_info() -> Iterator[None]:
    log.setLevel(logging.INFO)
    yield
    log.setLevel(logging.NOTSET)


def test_each_attempt_appends_its_lines_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / RUN / "worker.log"
    log.info("before")
    with run_log(path, run_id=RUN, worker="worker-1", attempt=1):
        log.info("run %s: attempt %d (train)", RUN, 1)
        for name, text in (("reaper", "of another run"), ("reporter-x", "of this run")):
            thread = threading.Thread(target=log.warning, args=(text,), name=name)
            thread.start()
            thread.join()
    log.info("between")
    with run_log(path, run_id=RUN, worker="worker-2", attempt=2):
        log.error("naïve 数据")
    lines = path.read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line) for line in lines] == [
        "INFO worker-1 attempt 1: attempt 1 (train)",
        "WARNING worker-1 attempt 1: of this run",
        "ERROR worker-2 attempt 2: naïve 数据",
    ]


def test_a_traceback_is_kept(tmp_path: Path) -> None:
    with run_log(tmp_path / "worker.log", run_id=RUN, worker="w", attempt=1):
        try:
            raise ZeroDivisionError("a bug")
        except ZeroDivisionError:
            log.exception("run %s failed", RUN)
    text = (tmp_path / "worker.log").read_text()
    assert "Traceback" in text
    assert text.endswith("ZeroDivisionError: a bug\n")


def test_a_log_that_cannot_be_written_costs_only_its_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    with run_log(tmp_path / "file" / "worker.log", run_id=RUN, worker="w", attempt=1):
        log.info("goes on")
    assert "its log is not kept" in caplog.text
    path = tmp_path / "worker.log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with run_log(path, run_id=RUN, worker="w", attempt=1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # as a full disk: each write fails from here on
            log.info("lost")
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            log.info("kept")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [line.partition(": ")[2] for line in path.read_text().splitlines()] == ["kept"]
