"""What the benchmarks of the queue stand on: a server of their own, and processes that are gone afterwards."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from tests.conftest import Server, start_server
from tests.processes import ROOT


@dataclass(frozen=True)
class Stage:
    """A Redis-compatible server, the one of the embedded stack, with each write in its append-only file."""

    folder: Path
    server: Server

    def url(self, database: int) -> str:
        """One of its databases: sides that must not meet get one each."""
        return f"redis://127.0.0.1:{self.server.port}/{database}"

    def environment(self, database: int, *, storage: Path | None = None) -> dict[str, str]:
        """For a client or a worker on that database."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_")}
        return kept | {
            "MNIST_BROKER_URL": self.url(database),
            "MNIST_STORAGE_DIR": str(storage or self.folder / f"storage-{database}"),
            "NO_COLOR": "1",
        }

    def used_memory(self) -> int:
        """Bytes that the server holds."""
        with self.server.client() as client:
            return int(client.info("memory")["used_memory"])

    def empty(self, database: int) -> None:
        with Redis.from_url(self.url(database)) as client:
            client.flushdb()


@contextmanager
def stage() -> Iterator[Stage]:
    """A fresh server in a temporary folder; both are gone afterwards, also when this process is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="mnist-bench-") as name:
        server = start_server(Path(name) / "server")
        try:
            yield Stage(Path(name), server)
        finally:
            server.kill()


@contextmanager
def process(command: Sequence[str], *, log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, with a pipe at each end; the whole group is killed afterwards."""
    with log.open("ab") as errors:
        started = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        with started:
            try:
                yield started
            finally:
                try:
                    os.killpg(started.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it has ended by itself
    except BrokenPipeError:
        pass  # what was written to it is of no use any more


def answer(asked: subprocess.Popen[str], line: str, *, log: Path) -> str:
    """Write a line to a process and read its answer."""
    assert asked.stdin is not None
    assert asked.stdout is not None
    asked.stdin.write(line + "\n")
    asked.stdin.flush()
    if not (said := asked.stdout.readline()):
        raise RuntimeError(f"{asked.args} has ended:\n{log.read_text()[-2000:]}")
    return said
