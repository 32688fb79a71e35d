"""One Compose project of a test's own: its name, its volumes, its network, driven by the commands that a user types."""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.processes import eventually

ROOT = Path(__file__).resolve().parents[2]
Record = dict[str, Any]


def docker(*arguments: str, environment: Mapping[str, str] | None = None, seconds: float = 120) -> str:
    """What a docker command prints; its words on failure."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=dict(os.environ if environment is None else environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def log_of(container: str) -> list[str]:
    """The lines that a container has written; a worker writes its log to stderr."""
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, timeout=60, check=True)
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def about(container: str) -> dict[str, Any]:
    """What `docker inspect` says."""
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


class Project:
    """`docker compose -p <a name of its own>`, and a client container that stays, for quick questions."""

    def __init__(
        self, *, files: tuple[Path | str, ...] = (), variables: Mapping[str, str] | None = None, asks: bool = True
    ) -> None:
        self.name = f"mnist-test-{secrets.token_hex(3)}"
        # No setting of the machine's user; one thread a worker, so that two of them share two cores; any free port.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MNIST_", "COMPOSE_"))}
        ports = {f"MNIST_{name}_PORT": "0" for name in ("METRICS", "FLOWER", "TENSORBOARD")}
        self._environment = kept | {"MNIST_NUM_THREADS": "1"} | ports | dict(variables or {})
        self._files = [word for file in ("docker-compose.yml", *files) for word in ("-f", str(file))]
        self._asks = asks

    def compose(self, *arguments: str, seconds: float = 180) -> str:
        return docker(
            *("compose", "--progress", "plain", "-p", self.name, *self._files, *arguments),
            environment=self._environment,
            seconds=seconds,
        )

    def up(self, *services: str, workers: int) -> None:
        """Start, and wait until every worker has loaded torch."""
        self.compose("up", "-d", "--no-build", "--wait", "--scale", f"worker={workers}", *services, seconds=400)
        if self._asks:
            self.compose("run", "-d", "--name", self._client, "--entrypoint", "sleep", "client", "infinity")
            self.wait_for_workers(workers)

    def down(self) -> None:
        """Stop and remove the containers; the volumes stay."""
        if self._asks:
            docker("rm", "-f", self._client)
        self.compose("--profile", "observability", "down")

    def remove(self) -> None:
        """Remove everything that is this project's."""
        if self._asks:
            docker("rm", "-f", self._client)
        self.compose("--profile", "observability", "down", "--volumes", "--remove-orphans", "--timeout", "5")

    def client(self, *arguments: str) -> Any:
        """The answer of `mnist-client --json ...`, run in the container that stays."""
        return json.loads(docker("exec", self._client, "mnist-client", "--json", *arguments))

    def operate(self, *arguments: str) -> None:
        """What only the role `operator` may, in a container that goes again."""
        self.compose("run", "--rm", "-T", "operator", *arguments)

    def shell(self, service: str, script: str) -> str:
        """What a shell script prints inside the service's first container."""
        if service == "client":
            return docker("exec", self._client, "sh", "-c", script)
        return self.compose("exec", "-T", service, "sh", "-c", script)

    def containers(self, service: str) -> list[str]:
        """The ids of all containers of a service, running or not."""
        return self.compose("ps", "-a", "-q", service).split()

    @property
    def network(self) -> str:
        """The network on which Redis is."""
        return f"{self.name}_broker"

    def heal(self, *, workers: int) -> None:
        """Undo what a test has done to its workers, and wait until all are ready."""
        for container in self.containers("worker"):
            found = about(container)
            if found["State"]["Paused"]:
                docker("unpause", container)
            if self.network not in found["NetworkSettings"]["Networks"]:
                docker("network", "connect", self.network, container)
            if not found["State"]["Running"]:
                docker("start", container)
        self.wait_for_workers(workers)

    def submit(self, *options: str) -> str:
        return str(self.client("submit", "train", *options)["id"])

    def record(self, run_id: str) -> Record:
        record: Record = self.client("status", run_id)
        return record

    def present(self) -> list[Record]:
        """The workers that are there and ready."""
        found: list[Record] = self.client("workers")
        return [one for one in found if one["device"] and one["state"] in ("idle", "busy") and not one["is_lost"]]

    def wait_for_workers(self, number: int) -> None:
        eventually(lambda: len(self.present()) == number, seconds=180, what=f"{number} workers being ready")

    def wait_for_checkpoint(self, run_id: str) -> Record:
        """The record of a run that is under way and has something to be resumed from."""
        return self._wait(run_id, lambda record: record["state"] == "running" and record["checkpoint"], "a checkpoint")

    def wait_for_attempt(self, run_id: str, attempt: int, *, seconds: float) -> Record:
        def is_at_it(record: Record) -> bool:
            return bool(record["state"] == "running" and record["attempt"] >= attempt)

        return self._wait(run_id, is_at_it, f"attempt {attempt}", seconds=seconds)

    def wait_for_success(self, run_id: str) -> Record:
        record = self.wait_for_end(run_id)
        assert record["state"] == "succeeded", record["error"]
        return record

    def wait_for_end(self, run_id: str) -> Record:
        ends = ("succeeded", "failed", "cancelled")
        return self._wait(run_id, lambda record: record["state"] in ends, "the end", seconds=600)

    def _wait(self, run_id: str, condition: Any, what: str, *, seconds: float = 180) -> Record:
        def reached() -> Record | None:
            record = self.record(run_id)
            return record if condition(record) else None

        return eventually(reached, seconds=seconds, what=f"{what} of run {run_id}")

    @property
    def _client(self) -> str:
        return f"{self.name}-asking"


def container_of(record: Record) -> str:
    """The container of the run's owner: a worker is named after its host, which is its container's id."""
    return str(record["worker"].rpartition("-")[0])
