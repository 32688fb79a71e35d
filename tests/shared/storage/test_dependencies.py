"""Runs that come after others, and runs that were made from others."""

from collections.abc import Callable

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import Finished
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest
from mnist_shared.contracts.runs import Priority, RunState, SubmitOptions
from mnist_shared.errors import InvalidInput, RunNotFound
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from tests.shared.storage.conftest import TRAIN
from tests.shared.storage.test_runs import FAILED, SUCCEEDED


def after(store: RunStore, parent: str, *, priority: Priority = "normal") -> str:
    return store.submit(TRAIN, options=SubmitOptions(after=parent, priority=priority)).run_id


def end(store: RunStore, run_id: str, last: Finished) -> None:
    grant = store.claim(run_id, worker="w")
    assert grant
    store.finish(grant, last)


def test_a_run_after_another_stays_out_of_the_queue(store: RunStore) -> None:
    parent = store.submit(TRAIN).run_id
    submission = store.submit(TRAIN, options=SubmitOptions(after=parent))
    record = store.get(submission.run_id)
    assert (record.state, record.waits_for, submission.waits_for) == (RunState.QUEUED, parent, parent)
    assert (submission.position, store.position(record.id)) == (None, None)
    assert store.redis.llen(store.keys.messages("normal")) == 1
    assert store.claim(record.id, worker="w") is None  # not even by a message from nowhere
    assert store.dependents(parent) == [record.id]
    view = Queue(store.redis).view()
    assert (view.waiting, view.blocked) == (1, 1)


def test_a_success_queues_what_waited_for_it_in_the_order_of_submission(store: RunStore) -> None:
    parent = store.submit(TRAIN).run_id
    first, second, urgent = after(store, parent), after(store, parent), after(store, parent, priority="high")
    end(store, parent, SUCCEEDED)
    assert [store.position(run_id) for run_id in (urgent, first, second)] == [0, 1, 2]
    assert store.get(first).waits_for is None
    assert store.dependents(parent) == []
    assert Queue(store.redis).view().blocked == 0
    assert store.submit(TRAIN, options=SubmitOptions(after=parent)).position == 3  # a success that is there already


def test_a_failure_cancels_what_waited_for_it_and_what_waited_for_that(store: RunStore, log: EventLog) -> None:
    parent = store.submit(TRAIN).run_id
    child = after(store, parent)
    grandchild = after(store, child)
    end(store, parent, FAILED)
    for run_id in (child, grandchild):
        record = store.get(run_id)
        assert (record.state, record.waits_for) == (RunState.CANCELLED, None)
        assert record.error
        assert record.error.kind == "DependencyFailed"
        last = log.replay(run_id)[-1].event
        assert isinstance(last, Finished)
        assert last.error == record.error
    assert store.get(parent).options.name in store.get(child).error.message  # type: ignore[union-attr]
    assert Queue(store.redis).view().blocked == 0


def test_a_run_that_is_lost_for_good_or_cancelled_takes_what_waited_along(
    store: RunStore, expire: Callable[[str], None]
) -> None:
    cancelled, lost = store.submit(TRAIN).run_id, store.submit(TRAIN).run_id
    children = after(store, cancelled), after(store, lost)
    store.cancel(cancelled)
    assert store.claim(lost, worker="w")
    store.cancel(lost)
    expire(lost)
    store.reap()
    assert {store.get(run_id).state for run_id in children} == {RunState.CANCELLED}


def test_a_waiting_run_can_be_cancelled_by_itself(store: RunStore) -> None:
    parent = store.submit(TRAIN).run_id
    child = after(store, parent)
    assert store.cancel(child) == "cancelled"
    assert store.get(child).error is None
    end(store, parent, SUCCEEDED)
    assert store.get(child).state is RunState.CANCELLED
    assert Queue(store.redis).view().waiting == 0


def test_nothing_comes_after_what_has_ended_otherwise_or_never_was(store: RunStore) -> None:
    parent = store.submit(TRAIN).run_id
    store.cancel(parent)
    with pytest.raises(InvalidInput, match="been cancelled"):
        after(store, parent)
    with pytest.raises(RunNotFound):
        after(store, "0123456789ab")
    assert store.count() == 1


def test_a_retried_parent_keeps_its_dependents_waiting(store: RunStore) -> None:
    parent = store.submit(TRAIN, options=SubmitOptions(retries=1)).run_id
    child = after(store, parent)
    grant = store.claim(parent, worker="w")
    assert grant
    store.finish(grant, FAILED, retry=True)
    assert store.get(child).waits_for == parent
    end(store, parent, SUCCEEDED)
    assert store.position(child) == 0


def test_children_are_what_was_made_from_a_run(store: RunStore) -> None:
    parent = store.submit(TRAIN).run_id
    config = TrainConfig(dataset="digits", epochs=2)
    resumed = store.submit(ResumeRequest(parent=parent, config=config)).run_id
    evaluated = store.submit(EvaluateRequest(target=parent, config=config)).run_id
    retried = store.submit(TRAIN, options=SubmitOptions(retry_of=parent)).run_id
    after(store, parent)
    assert store.children(parent) == [resumed, evaluated, retried]
    store.cancel(evaluated)
    store.redis.hset(store.keys.run(evaluated), "finished_ms", 1)
    store.redis.zadd(store.keys.runs, {evaluated: 1})
    assert store.prune(keep_days=1) == [evaluated]
    assert store.children(parent) == [resumed, retried]
