"""Log lines as a collector of container logs reads them."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from mnist_worker.logs import about_run, set_up_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    for handler in before[0]:
        root.removeHandler(handler)  # `force` would close pytest's own
    stream = io.StringIO()
    set_up_logging(level="info", log_format="json", worker="worker-1", stream=stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:], root.level = before


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_bears_worker_run_and_attempt(stream: io.StringIO) -> None:
    log = logging.getLogger("some.module")
    log.info("before")
    with about_run("0123456789ab", attempt=2):
        log.warning("%d images", 7)
    log.debug("not asked for")
    log.info("after")
    before, during, after = lines(stream)
    assert set(before) == set(after) == {"at", "level", "worker", "logger", "message"}
    assert during.items() >= {"run": "0123456789ab", "attempt": 2, "level": "warning", "message": "7 images"}.items()
    assert str(before["at"]).endswith("Z")


def test_whatever_is_logged_is_one_json_object_a_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger().exception("multi\nline \u2028 \x1b[31m %s", object())
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # here they are errors otherwise
        warnings.warn("an odd thing", stacklevel=1)
    failed, warned = lines(stream)
    assert "ValueError: two\nlines" in str(failed["error"])
    assert "an odd thing" in str(warned["message"])


def test_a_run_that_ends_in_an_error_is_not_spoken_of_any_more(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="x"), about_run("0123456789ab", attempt=1):
        raise ValueError("x")
    logging.getLogger().info("later")
    assert "run" not in lines(stream)[0]
