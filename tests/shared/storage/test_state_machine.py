"""The Lua scripts against a model in plain Python, under any interleaving of their callers.

The model is the specification in thirty lines: who owns a run, what a stale owner may still do (nothing), which events
are told, in which order the runs stand in the queue, and what becomes of those that wait for others.
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
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, Priority, RunState, SubmitOptions
from mnist_shared.errors import InvalidInput, LeaseLost
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import MAX_ATTEMPTS, Grant, RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.shared.storage.conftest import TRAIN, somebody_reaps
from tests.shared.storage.test_runs import CANCELLED, FAILED, SUCCEEDED

MAX_RUNS = 4  # at once: few, so that much happens to each
HEAD_LOOK = 10  # messages that the reaper looks at
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
LAST = {"succeeded": SUCCEEDED, "failed": FAILED, "cancelled": CANCELLED}


@dataclass
class Model:
    """One run, as it should be."""

    options: SubmitOptions
    waits_for: str | None = None
    failures: int = 0
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

    @property
    def waits_in_the_queue(self) -> bool:
        return self.state == "queued" and self.waits_for is None


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
        self.messages: dict[Priority, list[str]] = {
            priority: [] for priority in PRIORITIES
        }  # the next to be served last
        self.sequence = self.accidents = 0
        self.is_paused = False

    # ---- clients -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.num_living() < MAX_RUNS)
    @rule(target=runs, priority=st.sampled_from(PRIORITIES), retries=st.integers(0, 2))
    def submit(self, priority: Priority, retries: int) -> str:
        options = SubmitOptions(priority=priority, retries=retries)
        run_id = self.store.submit(TRAIN, options=options).run_id
        self.models[run_id] = Model(options)
        self.queue_last(run_id)
        return run_id

    @precondition(lambda self: self.num_living() < MAX_RUNS)
    @rule(target=runs, parent=runs, priority=st.sampled_from(PRIORITIES))
    def submit_after_another(self, parent: str, priority: Priority) -> object:
        options = SubmitOptions(priority=priority, after=parent)
        state = self.models[parent].state
        if state in ("failed", "cancelled"):
            with pytest.raises(InvalidInput):
                self.store.submit(TRAIN, options=options)
            return multiple()
        submission = self.store.submit(TRAIN, options=options)
        model = self.models[submission.run_id] = Model(options, waits_for=None if state == "succeeded" else parent)
        assert submission.waits_for == model.waits_for
        if not model.waits_for:
            self.queue_last(submission.run_id)
        return submission.run_id

    @rule(run_id=runs)
    def submit_again(self, run_id: str) -> None:
        self.store.submit(TRAIN, run_id=run_id, options=self.models[run_id].options)

    @rule()
    def pause_or_resume(self) -> None:
        queue = Queue(self.redis)
        (queue.resume if self.is_paused else queue.pause)()
        self.is_paused = not self.is_paused

    @rule(run_id=runs, force=st.booleans())
    def cancel(self, run_id: str, force: bool) -> None:
        model = self.models[run_id]
        answer = self.store.cancel(run_id, force=force)
        if model.state == "queued" or (model.state == "running" and (force or model.lease_ended)):
            assert answer == "cancelled"
            self.end(run_id, "cancelled")
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
        if model.waits_in_the_queue and self.is_paused:
            assert grant is None
            model.aged = True
        elif model.waits_in_the_queue:
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

    @rule(run_id=runs)
    def a_worker_serves(self, run_id: str) -> None:
        """From claim to success, with nothing in between."""
        grant = self.claim(run_id, "c")
        if isinstance(grant, Grant):
            self.finish(grant, "succeeded", False)

    @rule(run_id=runs, cancel=st.booleans())
    def a_worker_fails(self, run_id: str, cancel: bool) -> None:
        """From claim to an error that may not come again."""
        grant = self.claim(run_id, "d")
        if isinstance(grant, Grant):
            if cancel:
                self.cancel(run_id, False)
            self.finish(grant, "failed", True)

    @rule(run_id=runs)
    def claim_by_a_drained_worker(self, run_id: str) -> None:
        WorkerRegistry(self.redis).drain("drained")
        assert self.store.claim(run_id, worker="drained") is None
        if self.models[run_id].waits_in_the_queue:
            self.models[run_id].aged = True

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

    @rule(grant=grants, state=st.sampled_from(["succeeded", "failed", "failed", "cancelled"]), retry=st.booleans())
    def finish(self, grant: Grant, state: str, retry: bool) -> None:
        model = self.models[grant.run_id]
        if model.closed_by == grant:
            self.store.finish(grant, LAST[state], retry=retry)  # the first answer was lost: nothing changes
        elif not self.owns(grant):
            with pytest.raises(LeaseLost):
                self.store.finish(grant, LAST[state], retry=retry)
        else:
            self.store.finish(grant, LAST[state], retry=retry)
            model.closed_by = grant
            if state != "failed" or not retry or model.failures >= model.options.retries:
                self.end(grant.run_id, state)
            elif model.cancel:
                self.end(grant.run_id, "cancelled")
            else:
                model.failures += 1
                model.charged = max(0, model.charged - 1)
                model.events.append("attempt_failed")
                self.queue_last(grant.run_id)

    @rule(grant=grants)
    def release(self, grant: Grant) -> None:
        model = self.models[grant.run_id]
        if model.released_by == grant:
            self.store.release(grant)
        elif self.owns(grant):
            self.store.release(grant)
            model.released_by = grant
            if model.cancel:
                self.end(grant.run_id, "cancelled")
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
                self.end(run_id, "cancelled")
            elif model.charged >= MAX_ATTEMPTS:
                self.end(run_id, "failed")
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

    @rule(priority=st.sampled_from(PRIORITIES))
    def the_broker_loses_its_messages(self, priority: Priority) -> None:
        self.redis.delete(self.store.keys.messages(priority))
        self.messages[priority] = []

    @rule(priority=st.sampled_from(PRIORITIES))
    def a_message_is_popped_and_lost(self, priority: Priority) -> None:
        self.redis.rpop(self.store.keys.messages(priority))
        self.messages[priority] = self.messages[priority][:-1]

    @rule(run_id=runs, priority=st.sampled_from(PRIORITIES))
    def a_message_is_delivered_again(self, run_id: str, priority: Priority) -> None:
        """Into any of the lists."""
        message = self.redis.hget(self.store.keys.run(run_id), "message")
        self.redis.lpush(self.store.keys.messages(priority), message)
        self.messages[priority].insert(0, run_id)

    @rule()
    def time_passes_in_the_queue(self) -> None:
        for run_id, model in self.models.items():
            if model.waits_in_the_queue:
                model.aged = True
                self.redis.hset(self.store.keys.run(run_id), "woken_ms", 1)

    # ---- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def redis_agrees_with_the_model(self) -> None:
        keys = self.store.keys
        for run_id, model in self.models.items():
            record = self.store.get(run_id)
            assert (record.state, record.attempt) == (RunState(model.state), model.attempt)
            assert (record.attempts_without_checkpoint, record.failures) == (model.charged, model.failures)
            assert record.waits_for == model.waits_for
            assert self.store.dependents(run_id) == [r for r, m in self.models.items() if m.waits_for == run_id]
            assert [told.event.type for told in self.log.replay(run_id)] == model.events
        assert self.redis.zrange(keys.queued, 0, -1) == [run_id for p in PRIORITIES for run_id in self.queued(p)]
        assert self.redis.smembers(keys.blocked) == {r for r, m in self.models.items() if m.waits_for}
        assert set(self.redis.zrange(keys.leases, 0, -1)) == {r for r, m in self.models.items() if m.state == "running"}
        for priority, messages in self.messages.items():
            listed = self.redis.lrange(keys.messages(priority), 0, -1)
            assert [json.loads(message)["headers"]["id"] for message in listed] == messages

    def num_living(self) -> int:
        return sum(model.state in ("queued", "running") for model in self.models.values())

    def owns(self, grant: Grant) -> bool:
        model = self.models[grant.run_id]
        return model.state == "running" and model.owner == grant

    def next_sequence(self, grant: Grant, again: bool) -> int:
        told = self.models[grant.run_id].told
        return max(1, told) if again else told + 1

    def queued(self, priority: Priority) -> list[str]:
        """Those of one priority, the next to be served first."""
        its = [(m.score, r) for r, m in self.models.items() if m.waits_in_the_queue and m.options.priority == priority]
        return [run_id for _, run_id in sorted(its)]

    def queue_last(self, run_id: str) -> None:
        model = self.models[run_id]
        model.state, model.owner, model.aged = "queued", None, False
        self.sequence += 1
        model.score = self.sequence
        self.messages[model.options.priority].insert(0, run_id)

    def requeue_first(self, run_id: str) -> None:
        model = self.models[run_id]
        waiting = self.queued(model.options.priority)
        model.state, model.owner, model.aged = "queued", None, False
        model.score = self.models[waiting[0]].score - 1 if waiting else 0
        self.messages[model.options.priority].append(run_id)

    def end(self, run_id: str, state: str) -> None:
        model = self.models[run_id]
        model.state, model.owner, model.waits_for = state, None, None
        model.events.append("finished")
        for dependent, its in self.models.items():
            if its.waits_for == run_id and state == "succeeded":
                its.waits_for = None
                self.queue_last(dependent)
            elif its.waits_for == run_id:
                self.end(dependent, "cancelled")

    def wake_the_forgotten(self) -> None:
        for priority in PRIORITIES if not self.is_paused else ():
            waiting = self.queued(priority)
            listed = [run_id for run_id in self.messages[priority][-HEAD_LOOK:] if run_id in waiting]
            if not listed and self.messages[priority]:
                continue
            before = waiting[: waiting.index(listed[-1])] if listed else waiting
            for run_id in reversed(before):
                if self.models[run_id].aged:
                    self.messages[priority].append(run_id)
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
