"""The stack's server: on loopback, with a password, every write in its append-only file."""

import os
import time
from pathlib import Path

from redis.exceptions import TimeoutError

from mnist_client.stack.child import Child
from mnist_client.stack.folder import LOOPBACK, Access, StackFolder, is_port_free
from mnist_shared.errors import BrokerRefused, BrokerUnreachable, MnistError
from mnist_shared.storage.connection import broker_errors, connect

START_SECONDS = 20.0
PORT_SECONDS = 5.0  # how long the server of an `up` that was killed may take to end
PROBE_SECONDS = 1  # for an answer of what listens on our port


class ServerFailed(MnistError):
    """The server does not start, or does not stay."""


class ServerProcess:
    """Starts the server, and starts it again on the same data and port."""

    def __init__(self, binary: str, *, folder: StackFolder, access: Access) -> None:
        self.binary, self.folder, self.access = binary, folder, access

    def start(self) -> Child:
        """Start it and wait until it answers.

        Raises:
            ServerFailed: it does not.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_")}
        child = Child(
            [self.binary, "-"], environment=environment, stdin=self._configuration().encode(), reads_output=True
        )
        try:
            self._wait(child)
        except BaseException:
            child.close()
            raise
        return child

    def _wait(self, child: Child) -> None:
        client = connect(self.access.url, retries=0)
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                said = child.read_lines()
                if child.exit_code is not None:
                    reason = _last_words(self.folder.server_log) or (
                        said[-1] if said else f"exit code {child.exit_code}"
                    )
                    raise ServerFailed(f"The server does not start: {reason}.", hint=f"See {self.folder.server_log}.")
                try:
                    with broker_errors(client):
                        client.ping()
                    return
                except BrokerRefused as error:
                    raise ServerFailed(
                        f"The server does not start: {error.message}", hint=f"See {self.folder.server_log}."
                    ) from error
                except BrokerUnreachable as error:
                    if time.monotonic() > deadline and "loading" not in error.message:
                        raise ServerFailed(
                            f"The server does not answer: {error.message}", hint=f"See {self.folder.server_log}."
                        ) from error
                    time.sleep(0.02)
        finally:
            client.close()

    def _configuration(self) -> str:
        """Through stdin, since everybody on the machine may read an argument list."""
        return "\n".join(
            [
                f"bind {LOOPBACK}",
                f"port {self.access.port}",
                f"requirepass {self.access.password}",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                f"dir {_quoted(self.folder.server)}",
                f"logfile {_quoted(self.folder.server_log)}",
                "daemonize no",
                "maxmemory-policy noeviction",  # a full memory is an error, not a lost run
                "",
            ]
        )


def frees_port(access: Access) -> bool:
    """Whether the port is free, or gets free: the server of an `up` that was killed may still be on it."""
    deadline = time.monotonic() + PORT_SECONDS
    while not is_port_free(access.port):
        if time.monotonic() > deadline or not _stop_own_server(access):
            return False
        time.sleep(0.05)
    return True


def _stop_own_server(access: Access) -> bool:
    """Ask what listens there to stop, if it takes our password; false when it does not, or says nothing."""
    client = connect(f"{access.url}?socket_timeout={PROBE_SECONDS}", retries=0)
    try:
        with broker_errors(client):
            client.shutdown(nosave=True)
        return True
    except BrokerRefused:
        return False
    except BrokerUnreachable as error:
        return not isinstance(error.__cause__, TimeoutError)  # cut off: it is just going down
    finally:
        client.close()


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    except OSError:
        return ""
    return next((line.partition(" # ")[2].rstrip(".") for line in reversed(lines) if " # " in line), "")
