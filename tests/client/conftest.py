"""The real command, piped and in a pseudo-terminal, and a stand-in for a worker that owns a run."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.runs import RunStore
from tests.client.owner import Owner
from tests.client.terminal import Terminal
from tests.conftest import Server
from tests.processes import eventually

COMMAND = Path(sys.executable).with_name("mnist-client")


class Cli:
    """`mnist-client` as a child process against the test's server."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.started: list[subprocess.Popen[str] | subprocess.Popen[bytes]] = []

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    def in_bytes(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        """What it writes, whatever it is written in."""
        environment = self.environment | variables
        return subprocess.run([str(COMMAND), *arguments], env=environment, capture_output=True, timeout=60)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """In the background, both streams as pipes."""
        process = subprocess.Popen(
            [str(COMMAND), *arguments],
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    def terminal(self, *arguments: str, columns: int = 100, rows: int = 40, **variables: str) -> Terminal:
        """In a pseudo-terminal."""
        environment = self.environment | variables
        terminal = Terminal([str(COMMAND), *arguments], environment=environment, columns=columns, rows=rows)
        self.started.append(terminal.process)
        return terminal

    def close(self) -> None:
        """End what a test has left running: one that failed half-way."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()


def wait_for_reader(store: RunStore) -> None:
    """Until somebody follows a run, and waits for its next event."""
    eventually(lambda: any("xread" in client["cmd"] for client in store.redis.client_list()), what="a follower")


@pytest.fixture
def lonely(environment: dict[str, str]) -> Iterator[Cli]:
    """The command where no broker is configured."""
    cli = Cli(environment)
    yield cli
    cli.close()


@pytest.fixture
def cli(environment: dict[str, str], server: Server) -> Iterator[Cli]:
    """The command with the session's server as its broker."""
    cli = Cli(environment | {"MNIST_BROKER_URL": server.url})
    yield cli
    cli.close()


@pytest.fixture
def store(client: Redis) -> RunStore:
    return RunStore(client)


@pytest.fixture
def submitted(store: RunStore) -> Callable[..., str]:
    """Submit a training run; its id."""

    def submit(*, run_id: str | None = None, **config: object) -> str:
        return store.submit(TrainRequest(config=TrainConfig.model_validate(config)), run_id=run_id).run_id

    return submit


@pytest.fixture
def owned(store: RunStore, submitted: Callable[..., str]) -> Callable[..., Owner]:
    """Submit a training run and claim it, as a worker would."""

    def own(*, worker: str = "worker-1", **config: object) -> Owner:
        return Owner(store, submitted(**config), worker=worker)

    return own


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs inside the test's own process goes by no setting of the machine's user either."""
    for name in [name for name in os.environ if name.startswith("MNIST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
