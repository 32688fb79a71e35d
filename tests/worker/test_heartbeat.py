"""The file that says that a worker lives, and the command that a container's health check runs."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from mnist_worker.heartbeat import Heartbeat, read_health
from tests.conftest import Server
from tests.processes import Worker, eventually

COMMAND = [sys.executable, "-m", "mnist_worker.heartbeat"]


def check(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=20)


def test_a_beating_worker_is_healthy_and_is_ready_once_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    heartbeat = Heartbeat(path)
    heartbeat.beat("starting")
    assert read_health(path, needs_ready=False).healthy
    assert not read_health(path, needs_ready=True).healthy
    heartbeat.beat("ready")
    assert read_health(path, needs_ready=True).healthy
    heartbeat.stop()
    heartbeat.stop()
    assert not read_health(path, needs_ready=False).healthy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "beat_at", [-1e9, time.monotonic() - 31, time.monotonic() + 1e6], ids=["long ago", "too old", "of another boot"]
)
def test_an_old_beat_and_one_from_before_a_restart_of_the_machine_are_none(tmp_path: Path, beat_at: float) -> None:
    path = tmp_path / "heartbeat"
    path.write_text(json.dumps({"beat_at": beat_at, "stage": "ready"}))
    assert not read_health(path, needs_ready=False).healthy


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"beat_at": "x", "stage": "ready"}', b"\xff", b"7"])
def test_a_damaged_file_is_no_health_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "heartbeat"
    path.write_bytes(content)
    assert "cannot be read" in read_health(path, needs_ready=False).words


def test_the_check_loads_nothing_but_the_standard_library() -> None:
    script = "import sys, mnist_worker.heartbeat; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"celery", "redis", "torch", "pydantic", "mnist_shared", "typer"} & set(loaded)


def test_without_its_variable_the_check_says_what_is_missing(environment: dict[str, str]) -> None:
    done = check(environment)
    assert done.returncode == 2
    assert "MNIST_HEARTBEAT_FILE" in done.stderr
    assert check(environment, "--redy").returncode == 2


def test_a_worker_beats_while_it_lives_also_without_its_broker(
    own_server: Server, start_worker: Callable[..., Worker], environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "heartbeat"
    environment["MNIST_HEARTBEAT_FILE"] = str(path)
    with Redis(port=own_server.port, decode_responses=True) as client:
        worker = start_worker("worker-1", own_server).wait_until_ready(client)
    eventually(lambda: check(environment, "--ready").returncode == 0, what="being ready")
    own_server.kill()
    before = json.loads(path.read_text())["beat_at"]
    eventually(lambda: json.loads(path.read_text())["beat_at"] > before + 1, what="a beat without a broker")
    assert check(environment).returncode == 0
    own_server.start()
    assert worker.terminate() == 0
    assert check(environment).returncode == 1
    assert not path.exists()
