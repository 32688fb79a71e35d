"""The Lua scripts against a model in plain Python, under any interleaving of their callers.

The model is the specification in thirty lines: who owns a run, what a stale owner may still do (nothing), which events
are told, and in which order the runs stand in the queue.
"""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from mnist_shared.contracts.events import CheckpointSaved, EpochFinished
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, RunState
from mnist_shared.errors import LeaseLost
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import MAX_ATTEMPTS, Grant, RunStore
from tests.shared.storage.conftest import TRAIN, somebody_reaps
from tests.shared.storage.test_runs import ERROR, RESULT

MAX_RUNS = 3  # at once: few, so that much happens to each
HEAD_LOOK = 10  # messages that the reaper looks at


@dataclass
class Model:
    """One run, as it should be."""

    state: str = "queued"
    attempt: int = 0
    charged: int = 0
    owner: Grant | None = None
    closed_by: Grant | None = None
    released_by: Grant | None = None
    cancel: bool = False
    aged: bool = False  # queued for long
    score: int = 0
    lease_ended: int = 0  # when it ran out, in order; 0: it has not
    told: int = 0
    told_epoch: int = 0
    events: list[str] = field(default_factory=lambda: ["submitted"])

    def end(self, state: str) -> None:
        self.state, self.owner = state, None
        self.events.append("finished")


class RunStateMachine(RuleBasedStateMachine):
    """Rules are what clients, workers and accidents do; the invariants compare Redis with the model."""

    redis: Redis
    runs = Bundle("runs")
    grants = Bundle("grants")

    @initialize()
    def empty(self) -> None:
        self.redis.flushall()
        self.store = RunStore(self.redis, lease_seconds=600)  # runs out by accident only, never by the clock
        self.reaper = RunStore(self.redis, lease_seconds=1)  # content with a server that is up for a second
        self.log = EventLog(self.redis)
        self.models: dict[str, Model] = {}
        self.messages: list[str] = []  # the next to be served comes last
        self.sequence = self.accidents = 0

    # ---- clients -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.num_living() < MAX_RUNS)
    @rule(target=runs)
    def submit(self) -> str:
        run_id = self.store.submit(TRAIN).run_id
        self.sequence += 1
        self.models[run_id] = Model(score=self.sequence)
        self.messages.insert(0, run_id)
        return run_id

    @rule(run_id=runs)
    def submit_again(self, run_id: str) -> None:
        self.store.submit(TRAIN, run_id=run_id)

    @rule(run_id=runs, force=st.booleans())
    def cancel(self, run_id: str, force: bool) -> None:
        model = self.models[run_id]
        answer = self.store.cancel(run_id, force=force)
        if model.state == "queued" or (model.state == "running" and (force or model.lease_ended)):
            assert answer == "cancelled"
            model.end("cancelled")
        elif model.state == "running":
            assert answer == "requested"
            if not model.cancel:
                model.events.append("cancel_requested")
            model.cancel = True
        else:
            assert answer == "final"

    # ---- workers -----------------------------------------------------------------------------------------------

    @rule(target=grants, run_id=runs, nonce=st.sampled_from("ab"))
    def claim(self, run_id: str, nonce: str) -> object:
        model = self.models[run_id]
        grant = self.store.claim(run_id, worker="w", nonce=nonce)
        if model.state == "queued":
            model.state = "running"
            model.attempt += 1
            model.charged += 1
            model.lease_ended = model.told = 0  # a new execution numbers its events from 1
            assert grant
            assert grant.attempt == model.attempt
            model.owner = grant
            model.events.append("attempt_started")
            return grant
        if model.state == "running" and model.owner and model.owner.token == f"{model.attempt}:{nonce}":
            assert grant == model.owner
            model.lease_ended = 0
        else:
            assert grant is None
        return multiple()

    @rule(grant=grants)
    def renew(self, grant: Grant) -> None:
        model = self.models[grant.run_id]
        if self.owns(grant):
            assert self.store.renew(grant) == model.cancel
            model.lease_ended = 0
        else:
            with pytest.raises(LeaseLost):
                self.store.renew(grant)

    @rule(grant=grants, epoch=st.integers(1, 4), again=st.booleans())
    def tell_an_epoch(self, grant: Grant, epoch: int, again: bool) -> None:
        metrics = EpochMetrics(
            epoch=epoch, train_loss=0, test_loss=0, test_correct=1, test_total=1, test_accuracy=1, lr=1, seconds=0,
            images_per_second=0,
        )  # fmt: skip
        model = self.models[grant.run_id]
        sequence = self.next_sequence(grant, again)
        if not self.owns(grant):
            with pytest.raises(LeaseLost):
                self.store.append(grant, EpochFinished(epochs=4, metrics=metrics), sequence=sequence)
            return
        self.store.append(grant, EpochFinished(epochs=4, metrics=metrics), sequence=sequence)
        if sequence > model.told:
            model.told = sequence
            if epoch > model.told_epoch:
                model.told_epoch = epoch
                model.events.append("epoch")

    @rule(grant=grants, again=st.booleans())
    def save_a_checkpoint(self, grant: Grant, again: bool) -> None:
        ref = CheckpointRef(file="c", epoch=1, batch=0, attempt=grant.attempt, num_bytes=1, sha256="0" * 64)
        model = self.models[grant.run_id]
        sequence = self.next_sequence(grant, again)
        if not self.owns(grant):
            with pytest.raises(LeaseLost):
                self.store.append(grant, CheckpointSaved(checkpoint=ref), sequence=sequence, checkpoint=ref)
            return
        self.store.append(grant, CheckpointSaved(checkpoint=ref), sequence=sequence, checkpoint=ref)
        if sequence > model.told:
            model.told = sequence
            model.charged = 0
            model.events.append("checkpoint_saved")

    @rule(grant=grants, state=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def finish(self, grant: Grant, state: str) -> None:
        model = self.models[grant.run_id]
        call = {
            "succeeded": lambda: self.store.succeed(grant, RESULT),
            "failed": lambda: self.store.fail(grant, ERROR),
            "cancelled": lambda: self.store.confirm_cancelled(grant),
        }[state]
        if model.closed_by == grant:
            call()  # the answer to the first call was lost: nothing changes
        elif self.owns(grant):
            call()
            model.closed_by = grant
            model.end(state)
        else:
            with pytest.raises(LeaseLost):
                call()

    @rule(grant=grants)
    def release(self, grant: Grant) -> None:
        model = self.models[grant.run_id]
        if model.released_by == grant:
            self.store.release(grant)
        elif self.owns(grant):
            self.store.release(grant)
            model.released_by = grant
            if model.cancel:
                model.end("cancelled")
            else:
                model.charged = max(0, model.charged - 1)
                model.events.append("handed_back")
                self.requeue_first(grant.run_id)
        else:
            with pytest.raises(LeaseLost):
                self.store.release(grant)

    @rule()
    def reap(self) -> None:
        somebody_reaps(self.store)
        self.reaper.reap()
        expired = [
            (m.lease_ended, run_id) for run_id, m in self.models.items() if m.state == "running" and m.lease_ended
        ]
        for _, run_id in sorted(expired):
            model = self.models[run_id]
            model.events.append("attempt_lost")
            if model.cancel:
                model.end("cancelled")
            elif model.charged >= MAX_ATTEMPTS:
                model.end("failed")
            else:
                self.requeue_first(run_id)
        self.wake_the_forgotten()

    # ---- accidents ---------------------------------------------------------------------------------------------

    @rule(grant=grants)
    def silence(self, grant: Grant) -> None:
        """The owner has not been heard of for longer than its lease."""
        run_id = grant.run_id
        model = self.models[run_id]
        if model.state == "running":
            self.accidents += 1
            model.lease_ended = self.accidents
            self.redis.zadd(self.store.keys.leases, {run_id: self.accidents})

    @rule(grant=grants)
    def a_worker_dies(self, grant: Grant) -> None:
        """Silence, and the others notice."""
        self.silence(grant)
        self.reap()

    @rule()
    def the_broker_loses_its_messages(self) -> None:
        self.redis.delete(self.store.keys.queue)
        self.messages = []

    @rule()
    def a_message_is_popped_and_lost(self) -> None:
        self.redis.rpop(self.store.keys.queue)
        self.messages = self.messages[:-1]

    @rule(run_id=runs)
    def a_message_is_delivered_again(self, run_id: str) -> None:
        self.redis.lpush(self.store.keys.queue, self.redis.hget(self.store.keys.run(run_id), "message"))
        self.messages.insert(0, run_id)

    @rule()
    def time_passes_in_the_queue(self) -> None:
        for run_id, model in self.models.items():
            if model.state == "queued":
                model.aged = True
                self.redis.hset(self.store.keys.run(run_id), "woken_ms", 1)

    # ---- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def redis_agrees_with_the_model(self) -> None:
        keys = self.store.keys
        for run_id, model in self.models.items():
            record = self.store.get(run_id)
            assert (record.state, record.attempt) == (RunState(model.state), model.attempt)
            assert record.attempts_without_checkpoint == model.charged
            assert [told.event.type for told in self.log.replay(run_id)] == model.events
        queued = sorted((m.score, run_id) for run_id, m in self.models.items() if m.state == "queued")
        assert self.redis.zrange(keys.queued, 0, -1) == [run_id for _, run_id in queued]
        assert set(self.redis.zrange(keys.leases, 0, -1)) == {r for r, m in self.models.items() if m.state == "running"}
        listed = [json.loads(message)["headers"]["id"] for message in self.redis.lrange(keys.queue, 0, -1)]
        assert listed == self.messages

    def num_living(self) -> int:
        return sum(model.state in ("queued", "running") for model in self.models.values())

    def owns(self, grant: Grant) -> bool:
        model = self.models[grant.run_id]
        return model.state == "running" and model.owner == grant

    def next_sequence(self, grant: Grant, again: bool) -> int:
        told = self.models[grant.run_id].told
        return max(1, told) if again else told + 1

    def requeue_first(self, run_id: str) -> None:
        model = self.models[run_id]
        waiting = [m.score for m in self.models.values() if m.state == "queued"]
        model.state, model.owner, model.aged = "queued", None, False
        model.score = min(waiting) - 1 if waiting else 0
        self.messages.append(run_id)

    def wake_the_forgotten(self) -> None:
        last = [self.models[r].score for r in self.messages[-HEAD_LOOK:] if self.models[r].state == "queued"]
        if not last and self.messages:
            return
        waiting = sorted((m.score, r) for r, m in self.models.items() if m.state == "queued")
        for score, run_id in reversed(waiting):
            if (not last or score < last[-1]) and self.models[run_id].aged:
                self.messages.append(run_id)
                self.models[run_id].aged = False


def test_the_scripts_do_what_the_model_says(client: Redis, store: RunStore) -> None:
    RunStateMachine.redis = client
    run_state_machine_as_test(
        RunStateMachine,
        settings=settings(
            max_examples=120,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
