"""The stack's part of the storage folder: what it keeps from one `up` to the next, and the lock that makes it one."""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, TypeAdapter

from mnist_client.stack.stack_file import StackFile, write_private
from mnist_shared.contracts.base import Document, read_document
from mnist_shared.errors import InvalidInput, VolumeError

LOOPBACK = "127.0.0.1"


class Access(Document):
    """Port and password. Kept, so that workers and followers find the server again after a restart of the stack."""

    port: int = Field(ge=1, le=65_535)
    password: str = Field(pattern=r"^[0-9a-f]{32,}$")  # it stands in a configuration file and in a URL

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"


_ACCESS = TypeAdapter(Access)


@dataclass(frozen=True)
class StackFolder:
    """Paths under the storage folder."""

    storage_dir: Path

    @property
    def server(self) -> Path:
        return self.storage_dir / "redis"

    @property
    def logs(self) -> Path:
        return self.storage_dir / "logs"

    @property
    def server_log(self) -> Path:
        return self.logs / "server.log"

    @property
    def stack_file(self) -> Path:
        return self.storage_dir / "stack.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folders, and be the only stack in them.

        Raises:
            VolumeError: the folder cannot be written.
            InvalidInput: another `up` runs on it.
        """
        with volume_errors(self.storage_dir):
            self.storage_dir.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self.server.mkdir(mode=0o700, exist_ok=True)
            self.server.chmod(0o700)
            lock = os.open(self.storage_dir / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise InvalidInput(
                    f"An embedded stack already runs on {self.storage_dir} (process {pid}).",
                    hint=f"Use it, or stop it with Ctrl-C in its terminal or `kill {pid}`.",
                ) from None
            with volume_errors(self.storage_dir):
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)  # and with it the lock is gone, however this process ends

    @property
    def access_file(self) -> Path:
        return self.server / "access.json"

    def access(self) -> Access:
        """Port and password of the last time, or new ones.

        Raises:
            VolumeError, ContractError: those of the last time cannot be read.
        """
        path = self.access_file
        with volume_errors(self.storage_dir):
            if path.exists():
                return read_document(_ACCESS, path.read_text(encoding="utf-8"), what=str(path))
        return Access(port=free_port(), password=secrets.token_hex(24))

    def keep(self, access: Access) -> None:
        """For the next time. Raises VolumeError."""
        with volume_errors(self.storage_dir):
            write_private(self.access_file, access.model_dump_json())

    def publish(self, access: Access, *, num_workers: int) -> None:
        """Tell the other commands where the stack is."""
        with volume_errors(self.storage_dir):
            write_private(
                self.stack_file,
                StackFile(broker_url=access.url, pid=os.getpid(), num_workers=num_workers).model_dump_json(),
            )

    def withdraw(self) -> None:
        self.stack_file.unlink(missing_ok=True)


@contextmanager
def volume_errors(folder: Path) -> Iterator[None]:
    """Turn the file system's errors into ours.

    Raises:
        VolumeError: the folder is full, read-only, or not ours.
    """
    try:
        yield
    except OSError as error:
        raise VolumeError(
            f"The storage folder {folder} cannot be used: {error.strerror or error}.",
            hint="Give another one with --storage or MNIST_STORAGE_DIR.",
        ) from error


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: no wait for old connections
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
