"""A server with the users of `deploy/redis`: every role has its own password and its own rights."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.conftest import free_port, server_binary
from tests.processes import ROOT, eventually


@dataclass
class GuardedServer:
    """A Redis-compatible server on loopback that lets in only who has a role."""

    folder: Path
    port: int
    passwords: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url_of(self, role: str) -> str:
        return f"redis://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/0"

    def client_as(self, role: str) -> redis.Redis:
        return redis.Redis.from_url(self.url_of(role), decode_responses=True)

    def start(self) -> None:
        """Start it on its data, with the settings of Compose, and wait until it answers."""
        process = self.process = subprocess.Popen(
            [
                *(server_binary(), str(ROOT / "deploy" / "redis" / "redis.conf")),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--logfile", "server.log", "--aclfile", str(self.folder / "users.acl")),
            ],
            stdout=subprocess.DEVNULL,
        )

        def answers() -> bool:
            assert process.poll() is None, (self.folder / "server.log").read_text()
            try:
                with self.client_as("admin") as admin:
                    return bool(admin.ping())
            except redis.exceptions.RedisError:  # not yet there, or still loading its data
                return False

        eventually(answers, what="the server answering")

    def stop(self) -> None:
        """As `docker compose stop` does."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="package")
def start_guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], GuardedServer]]:
    started: list[GuardedServer] = []

    def start() -> GuardedServer:
        folder = tmp_path_factory.mktemp("guarded")
        script = ROOT / "deploy" / "redis" / "make-users.sh"
        users = subprocess.run(
            ["sh", str(script), str(folder / "roles")], capture_output=True, text=True, check=True, timeout=20
        )
        (folder / "users.acl").write_text(users.stdout)
        passwords = {role.name: (role / "password").read_text() for role in (folder / "roles").iterdir()}
        server = GuardedServer(folder, free_port(), passwords)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        if server.process is not None:
            server.process.kill()
            server.process.wait()


@pytest.fixture(scope="package")
def guarded(start_guarded: Callable[[], GuardedServer]) -> GuardedServer:
    return start_guarded()
