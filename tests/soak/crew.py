"""A number of workers that is kept up: who is gone is replaced, who is frozen thaws in time."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil

from mnist_shared.storage.workers import WorkerRegistry
from tests.processes import Worker
from tests.soak.stage import Stage

ORPHAN_SECONDS = 20.0  # a pool process whose parent is gone has to be gone by then
STOP_SECONDS = 30.0
MAX_SURPRISES = 10


class Held(NamedTuple):
    """A run and the attempt at it that a worker is busy with."""

    run_id: str
    attempt: int


@dataclass
class Member:
    """A worker, and what was done to it."""

    worker: Worker
    is_hit: bool = False  # it was killed, or told to stop: its end is no surprise
    frozen: tuple[int, ...] = ()  # process ids
    thaw_at: float = 0.0

    @property
    def name(self) -> str:
        return self.worker.name

    @property
    def is_alive(self) -> bool:
        return self.worker.process.poll() is None

    def pool(self) -> psutil.Process | None:
        """The process that executes runs; None while there is none."""
        try:
            children = psutil.Process(self.worker.process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return children[0] if children else None

    def freeze(self, pids: Sequence[int], *, seconds: float) -> None:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        self.frozen, self.thaw_at = tuple(pids), time.monotonic() + seconds

    def thaw(self) -> None:
        for pid in self.frozen:
            _signal(pid, signal.SIGCONT)
        self.frozen = ()


@dataclass
class Crew:
    """Usable as a context manager: no process of it is left at the end, whatever happens."""

    stage: Stage
    command: Sequence[str]
    size: int
    members: list[Member] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)  # what no worker should ever do
    num_started: int = 0
    _orphans: list[tuple[psutil.Process, str, float]] = field(default_factory=list)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: Any) -> None:
        pools = [process for process, _, _ in self._orphans]
        for member in self.members:
            if member.is_alive:
                member.worker.kill()  # with its whole process group
            elif pool := member.pool():
                pools.append(pool)
        for pool in pools:
            try:
                pool.kill()  # psutil does not mistake another process of the same id for it
            except psutil.NoSuchProcess:
                pass

    @property
    def is_hopeless(self) -> bool:
        """So many workers ended by themselves that there is nothing more to learn."""
        return len(self.surprises) >= MAX_SURPRISES

    def tend(self) -> None:
        """Replace the dead, thaw who has been frozen for long enough, look after the orphans."""
        now = time.monotonic()
        for member in list(self.members):
            if member.frozen and now >= member.thaw_at:
                member.thaw()
            if member.is_alive:
                continue
            code = member.worker.process.returncode
            if not member.is_hit or (code != 0 and code != -signal.SIGKILL):
                self.surprises.append(f"{member.name} ended by itself with {code}")
            self.members.remove(member)
        while len(self.members) < self.size:
            self._start()
        for orphan in list(self._orphans):
            process, name, since = orphan
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                self._orphans.remove(orphan)
            elif now - since > ORPHAN_SECONDS:
                self.surprises.append(f"the pool process of {name} outlives its parent")
                process.kill()

    def adopt(self, pool: psutil.Process, *, name: str) -> None:
        """Watch a pool process whose parent is about to be killed."""
        self._orphans.append((pool, name, time.monotonic()))

    def ready(self) -> list[Member]:
        """Those that have announced themselves, and that nothing was done to yet. Raises BrokerUnreachable."""
        present = {worker.info.pid for worker in WorkerRegistry(self.stage.redis).present() if worker.info.device}
        return [
            member
            for member in self.members
            if member.worker.process.pid in present and member.is_alive and not member.is_hit and not member.frozen
        ]

    def held(self) -> dict[str, Held]:
        """What each worker is busy with, by its name. Raises BrokerUnreachable."""
        redis, keys = self.stage.redis, self.stage.store.keys
        found = {}
        for run_id in redis.zrange(keys.leases, 0, -1):
            worker, attempt, state = redis.hmget(keys.run(run_id), "worker", "attempt", "state")
            if state == "running":
                found[worker] = Held(run_id, int(attempt))
        return found

    def stop(self) -> None:
        """SIGTERM to all; whoever does not end in time, or not well, is a surprise."""
        for member in self.members:
            member.thaw()
            if member.is_alive:
                member.is_hit = True
                member.worker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(member.is_alive for member in self.members) and time.monotonic() < deadline:
            time.sleep(0.05)
        for member in self.members:
            code = member.worker.process.poll()
            if code is None:
                self.surprises.append(f"{member.name} has not ended {STOP_SECONDS:g} s after SIGTERM")
            elif code == -signal.SIGTERM and "is serving the queue" not in member.worker.log:
                pass  # it was still being started, and had nothing to hand back
            elif code not in (0, -signal.SIGKILL):
                self.surprises.append(f"{member.name} ended with {code} after SIGTERM")

    def _start(self) -> None:
        self.num_started += 1
        worker = Worker(
            f"worker-{self.num_started:03d}",
            environment=self.stage.environment,
            command=self.command,
            folder=self.stage.folder,
        )
        self.members.append(Member(worker))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        psutil.Process(pid).send_signal(number)
    except psutil.NoSuchProcess:
        pass
