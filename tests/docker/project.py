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


class Project:
    """`docker compose -p <a name of its own>`, and a client container that stays, for quick questions."""

    def __init__(self, *, data_dir: str = "", overlay: Path | None = None) -> None:
        self.name = f"mnist-test-{secrets.token_hex(3)}"
        # No setting of the machine's user; one thread a worker, so that two of them share two cores.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MNIST_", "COMPOSE_"))}
        self._environment = kept | {"MNIST_NUM_THREADS": "1", "MNIST_DATA_DIR": data_dir}
        self._files = ["-f", "docker-compose.yml", *(("-f", str(overlay)) if overlay else ())]

    def compose(self, *arguments: str, seconds: float = 120) -> str:
        return docker(
            *("compose", "--progress", "plain", "-p", self.name, *self._files, *arguments),
            environment=self._environment,
            seconds=seconds,
        )

    def up(self, *, workers: int) -> None:
        """Start, and wait until every worker has loaded torch."""
        self.compose("up", "-d", "--wait", "--scale", f"worker={workers}")
        self.compose("run", "-d", "--name", self._client, "--entrypoint", "sleep", "client", "infinity")
        self.wait_for_workers(workers)

    def down(self) -> None:
        """Stop and remove the containers; the volumes stay."""
        docker("rm", "-f", self._client)
        self.compose("down")

    def remove(self) -> None:
        """Remove everything that is this project's."""
        docker("rm", "-f", self._client)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def client(self, *arguments: str) -> Any:
        """The answer of `mnist-client --json ...`, run in the container that stays."""
        return json.loads(docker("exec", self._client, "mnist-client", "--json", *arguments))

    def shell(self, service: str, script: str) -> str:
        """What a shell script prints inside the service's first container."""
        if service == "client":
            return docker("exec", self._client, "sh", "-c", script)
        return self.compose("exec", "-T", service, "sh", "-c", script)

    def submit(self, *options: str) -> str:
        return str(self.client("submit", "train", *options)["id"])

    def record(self, run_id: str) -> Record:
        record: Record = self.client("status", run_id)
        return record

    def wait_for_workers(self, number: int) -> None:
        def are_ready() -> bool:
            ready = [worker for worker in self.client("workers") if worker["device"]]
            return len(ready) >= number

        eventually(are_ready, seconds=120, what=f"{number} workers being ready")

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
        return self._wait(run_id, lambda record: record["state"] in ends, "the end", seconds=400)

    def _wait(self, run_id: str, condition: Any, what: str, *, seconds: float = 120) -> Record:
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
