"""The faults, one function each, and the dice that choose among them."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import psutil

from mnist_shared.volume.manifests import checkpoint_names
from tests.soak.crew import Crew, Held, Member
from tests.soak.stage import Stage
from tests.soak.workload import Workload

# A run that was lost so often without a new checkpoint is spared: that the fifth time ends it is by design, and another
# test's subject.
SPARED_ATTEMPTS = 3

KILL_WORKER, KILL_POOL, KILL_PARENT = "SIGKILL worker", "SIGKILL pool process", "SIGKILL main process"
FREEZE_WORKER, FREEZE_POOL = "SIGSTOP worker", "SIGSTOP pool process"
TERMINATE = "SIGTERM worker"
KILL_SERVER, FREEZE_SERVER, CUT = "server SIGKILLed", "server SIGSTOPped", "CLIENT KILL, all"
DAMAGE, CANCEL, REPEAT = "checkpoint bit-flipped", "run cancelled", "message repeated"

WEIGHTS = {
    KILL_WORKER: 4, KILL_POOL: 3, KILL_PARENT: 2, FREEZE_WORKER: 2, FREEZE_POOL: 1, TERMINATE: 3,
    KILL_SERVER: 2, FREEZE_SERVER: 1, CUT: 2, CANCEL: 2, REPEAT: 1,
}  # fmt: skip
ON_WORKERS = (KILL_WORKER, KILL_POOL, KILL_PARENT, FREEZE_WORKER, FREEZE_POOL, TERMINATE)
DAMAGE_PROBABILITY = 0.3  # after a kill, where there is a checkpoint to fall back to


@dataclass(frozen=True)
class Fault:
    kind: str
    at: float  # Unix time; the server's clock is the same machine's
    worker: str | None = None  # the one it was done to


@dataclass
class Faults:
    """Deals out faults, and remembers them."""

    stage: Stage
    crew: Crew
    workload: Workload
    chance: random.Random
    weights: dict[str, int] = field(default_factory=lambda: WEIGHTS)
    done: list[Fault] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)  # run -> checkpoint file

    @property
    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.done)

    def strike(self) -> bool:
        """One fault, now; false when there was nobody to do it to. Raises BrokerUnreachable."""
        num_done = len(self.done)
        self._strike()
        return len(self.done) > num_done

    def _strike(self) -> None:
        kind = self.chance.choices(list(self.weights), weights=list(self.weights.values()))[0]
        if kind in ON_WORKERS:
            self._strike_worker(kind)
            return
        others: dict[str, Callable[[], None]] = {
            KILL_SERVER: self._kill_server,
            FREEZE_SERVER: self._freeze_server,
            CUT: self._cut,
            CANCEL: self._cancel,
            REPEAT: self._repeat,
        }
        others[kind]()

    def _note(self, kind: str, worker: str | None = None) -> None:
        fault = Fault(kind, time.time(), worker)
        self.done.append(fault)
        with (self.stage.folder / "faults.log").open("a") as log:
            log.write(f"{datetime.fromtimestamp(fault.at)} {kind} {worker or ''}\n")

    # ---- workers -----------------------------------------------------------------------------------------------

    def _strike_worker(self, kind: str) -> None:
        ready, held = self.crew.ready(), self.crew.held()
        spared = {name for name, (run_id, _) in held.items() if self._is_spared(run_id)}
        ready = [member for member in ready if member.name not in spared]
        busy = [member for member in ready if member.name in held]
        if not ready:
            return
        # Mostly one that is at work; sometimes anyone, who may have popped a message a moment ago.
        victim = self.chance.choice(busy if busy and self.chance.random() < 0.85 else ready)
        pool = victim.pool()
        if pool is None:
            return
        self._note(kind, victim.name)
        self._hit(kind, victim, pool)
        if kind in (KILL_WORKER, KILL_POOL) and victim.name in held and self.chance.random() < DAMAGE_PROBABILITY:
            self._damage(held[victim.name])

    def _hit(self, kind: str, victim: Member, pool: psutil.Process) -> None:
        process = victim.worker.process
        victim.is_hit = kind in (KILL_WORKER, KILL_PARENT, TERMINATE)
        freeze_seconds = self.stage.lease_seconds * self.chance.uniform(1.2, 2.5)
        if kind == KILL_WORKER:
            victim.worker.kill()
        elif kind == KILL_POOL:
            pool.kill()
        elif kind == KILL_PARENT:
            self.crew.adopt(pool, name=victim.name)
            process.kill()
            process.wait()
        elif kind == TERMINATE:
            process.terminate()
        else:
            pids = (process.pid, pool.pid) if kind == FREEZE_WORKER else (pool.pid,)
            victim.freeze(pids, seconds=freeze_seconds)

    def _is_spared(self, run_id: str) -> bool:
        found = self.stage.redis.hget(self.stage.store.keys.run(run_id), "attempts_without_checkpoint")
        return int(found or 0) >= SPARED_ATTEMPTS

    def _damage(self, held: Held) -> None:
        """Flip one bit in the middle of the newest checkpoint, once a run, if there is another one."""
        folder = self.stage.run_folder(held.run_id).checkpoints
        names = checkpoint_names(folder)
        if len(names) < 2 or held.run_id in self.damaged:
            return
        self.damaged[held.run_id] = names[0].file
        with (folder / names[0].file).open("r+b") as file:
            middle = file.seek(0, 2) // 2
            file.seek(middle)
            byte = file.read(1)[0]
            file.seek(middle)
            file.write(bytes([byte ^ 1]))
        self._note(DAMAGE)

    # ---- the server --------------------------------------------------------------------------------------------

    def _kill_server(self) -> None:
        # Submitted, acknowledged, and killed in the same millisecond: with the AOF written before an answer is sent,
        # and the operating system alive, this run must be there afterwards.
        self.workload.submit_something()
        self.stage.server.kill()
        self._note(KILL_SERVER)
        time.sleep(self.chance.uniform(0.0, 1.5) * self.stage.lease_seconds)
        self.stage.server.start()

    def _freeze_server(self) -> None:
        server = self.stage.server.process
        assert server is not None
        self._note(FREEZE_SERVER)
        server.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.3, 2.0) * self.stage.lease_seconds)
        server.send_signal(signal.SIGCONT)

    def _cut(self) -> None:
        self.stage.redis.client_kill_filter(_type="normal", skipme=True)
        self._note(CUT)

    # ---- clients -----------------------------------------------------------------------------------------------

    def _cancel(self) -> None:
        if self.workload.cancel_something(force=self.chance.random() < 0.2):
            self._note(CANCEL)

    def _repeat(self) -> None:
        """Deliver the message of a run five times more; of one that has ended, too."""
        redis, keys = self.stage.redis, self.stage.store.keys
        run_id = self.chance.choice(list(self.workload.runs))
        message = redis.hget(keys.run(run_id), "message")
        if message:
            redis.rpush(keys.messages("normal"), *[message] * 5)
            self._note(REPEAT)
