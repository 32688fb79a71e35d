"""The queue as a whole: priorities, pauses, drained workers."""

from mnist_shared.contracts.runs import Priority, SubmitOptions
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.shared.storage.conftest import TRAIN, somebody_reaps


def submit(store: RunStore, priority: Priority) -> str:
    return store.submit(TRAIN, options=SubmitOptions(priority=priority)).run_id


def test_a_higher_priority_is_served_first_and_each_in_its_order(store: RunStore) -> None:
    low, normal, high = submit(store, "low"), submit(store, "normal"), submit(store, "high")
    also_low, also_high = submit(store, "low"), submit(store, "high")
    order = [high, also_high, normal, low, also_low]
    assert [store.position(run_id) for run_id in order] == [0, 1, 2, 3, 4]
    view = Queue(store.redis).view()
    assert view.by_priority == {"high": 2, "normal": 1, "low": 2}
    store.redis.hset(store.keys.run(low), "queued_ms", 1000)
    since = Queue(store.redis).view().oldest_queued_at
    assert since is not None
    assert since.timestamp() == 1


def test_a_run_handed_back_is_the_first_of_its_own_priority(store: RunStore) -> None:
    high, first, second = submit(store, "high"), submit(store, "low"), submit(store, "low")
    grant = store.claim(first, worker="w")
    assert grant
    store.redis.rpop(store.keys.messages("low"))
    store.release(grant)
    assert [store.position(run_id) for run_id in (high, first, second)] == [0, 1, 2]
    assert first in store.redis.lindex(store.keys.messages("low"), -1)


def test_a_lost_message_is_missed_in_its_own_list_only(store: RunStore) -> None:
    runs = [submit(store, priority) for priority in ("high", "normal", "normal", "low")]
    for run_id in runs:
        store.redis.hset(store.keys.run(run_id), "woken_ms", 1)
    for priority in ("high", "normal"):
        store.redis.rpop(store.keys.messages(priority))
    somebody_reaps(store)
    assert [(one.run_id, one.action) for one in store.reap()] == [(runs[0], "woken"), (runs[1], "woken")]
    assert store.redis.llen(store.keys.messages("high")) == 1
    assert store.redis.llen(store.keys.messages("normal")) == 2


def test_a_message_in_the_list_of_another_priority_confuses_nobody(store: RunStore) -> None:
    lost, present, low = submit(store, "normal"), submit(store, "normal"), submit(store, "low")
    for run_id in (lost, present, low):
        store.redis.hset(store.keys.run(run_id), "woken_ms", 1)
    messages = store.keys.messages("normal")
    store.redis.rpop(messages)
    store.redis.rpush(messages, store.redis.hget(store.keys.run(low), "message"))
    somebody_reaps(store)
    assert [one.run_id for one in store.reap()] == [lost]


def test_while_the_queue_is_paused_nothing_is_claimed_or_woken(store: RunStore) -> None:
    queue = Queue(store.redis)
    run_id = submit(store, "normal")
    assert queue.view().paused is None
    queue.pause()
    since = queue.view().paused
    assert since is not None
    queue.pause()
    assert queue.view().paused == since
    store.redis.delete(store.keys.messages("normal"))  # popped by a worker that had not heard of it
    assert store.claim(run_id, worker="w") is None
    somebody_reaps(store)
    assert store.reap() == []
    queue.resume()
    assert [one.action for one in store.reap()] == ["woken"]  # at once: nobody needs to wait for it to be missed
    assert store.claim(run_id, worker="w")


def test_a_run_under_way_goes_on_while_the_queue_is_paused(store: RunStore) -> None:
    run_id = submit(store, "normal")
    grant = store.claim(run_id, worker="w", nonce="n")
    assert grant
    Queue(store.redis).pause()
    assert store.claim(run_id, worker="w", nonce="n") == grant
    assert store.renew(grant) is False


def test_a_drained_worker_is_granted_nothing_until_it_is_undrained(store: RunStore) -> None:
    registry = WorkerRegistry(store.redis)
    run_id = submit(store, "normal")
    registry.drain("worker-1")
    assert registry.drained() == {"worker-1"}
    assert registry.standing("worker-1").is_drained
    assert not registry.standing("worker-2").is_drained
    assert store.claim(run_id, worker="worker-1") is None
    registry.undrain("worker-1")
    assert registry.drained() == set()
    assert store.claim(run_id, worker="worker-1")
