"""What a soak plays on: a folder, a server of its own, and connections to it. All of it is gone at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore
from mnist_shared.volume.run_folder import RunFolder
from tests.conftest import Server, start_server


@dataclass(frozen=True)
class Stage:
    folder: Path
    server: Server
    redis: Redis
    store: RunStore
    log: EventLog
    lease_seconds: float

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def runs_dir(self) -> Path:
        return self.storage / "runs"

    def run_folder(self, run_id: str) -> RunFolder:
        return RunFolder(self.runs_dir, run_id)

    @property
    def environment(self) -> dict[str, str]:
        """A worker's or a client's: this stage's server and volume, one thread, no setting of the machine's user."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_")}
        return kept | {
            "MNIST_STORAGE_DIR": str(self.storage),
            "MNIST_BROKER_URL": self.server.url,
            "MNIST_NUM_THREADS": "1",
            "MNIST_LEASE_SECONDS": str(self.lease_seconds),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }


@contextmanager
def set_up(*, lease_seconds: float, keeps: bool) -> Iterator[Stage]:
    """A stage in a new temporary folder, which stays if `keeps`, or when an exception (or SystemExit) ends it."""
    folder = Path(tempfile.mkdtemp(prefix="mnist-soak-"))
    server = start_server(folder / "server")
    redis = connect(server.url, retries=20)
    store = RunStore(redis, lease_seconds=lease_seconds)
    try:
        yield Stage(folder, server, redis, store, EventLog(redis), lease_seconds)
        if not keeps:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        redis.close()
        server.kill()
