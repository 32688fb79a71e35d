"""Worker processes for the tests: started, waited for, killed and cleaned up by process id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil
from redis import Redis

from mnist_shared.contracts.runs import RunRecord, RunState
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry

ROOT = Path(__file__).resolve().parents[1]
TRAINING = [sys.executable, "-m", "mnist_worker", "--name"]
COUNTING = [sys.executable, "-m", "tests.counting_worker"]

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, seconds: float = 30.0, what: str = "it") -> T:
    """The first true answer of `probe`, asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := probe():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Worker:
    """A worker in its own process group, with its log in a file."""

    def __init__(self, name: str, *, environment: dict[str, str], command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, name], env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_ready(self, redis: Redis, *, seconds: float = 60.0) -> "Worker":
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log
            return any(p.info.pid == self.process.pid and p.info.device for p in WorkerRegistry(redis).present())

        eventually(is_ready, seconds=seconds, what=f"{self.name} being ready")
        return self

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def pool_pid(self) -> int:
        """The process that executes runs."""
        return eventually(lambda: psutil.Process(self.process.pid).children(), what="a pool process")[0].pid

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the main process and the pool process alike."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL to both, as when a machine goes down."""
        try:
            self.signal_all(signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def terminate(self, *, seconds: float = 20.0) -> int:
        """SIGTERM to the main process, as `docker stop` does; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)


def wait_for_state(store: RunStore, run_id: str, *states: RunState, seconds: float = 60.0) -> RunRecord:
    """The record, once it is in one of `states`; in any final one when none is given."""

    def reached() -> RunRecord | None:
        record = store.get(run_id)
        return record if record.state in states or (not states and record.state.is_final) else None

    return eventually(reached, seconds=seconds, what=f"run {run_id} reaching {states or 'its end'}")
