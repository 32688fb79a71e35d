"""What is served now and next, and the wait for many ends at once."""

import threading

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import SubmitOptions
from mnist_shared.errors import RunNotFound
from mnist_shared.storage.ends import EndWatch
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.serving import read_records, read_serving

REQUEST = TrainRequest(config=TrainConfig())


def test_runs_are_read_in_the_order_in_which_they_are_served(client: Redis) -> None:
    store = RunStore(client)
    running = store.submit(REQUEST).run_id
    assert store.claim(running, worker="w")
    low, high = (store.submit(REQUEST, options=SubmitOptions(priority=p)).run_id for p in ("low", "high"))
    blocked = store.submit(REQUEST, options=SubmitOptions(after=running)).run_id
    damaged = store.submit(REQUEST).run_id
    client.hset(store.keys.run(damaged), "request", "{")
    serving = read_serving(store, num_queued=10, num_latest=10)
    groups = (serving.running, serving.queued, serving.blocked, serving.latest)
    found = [[record.id for record in records] for records in groups]
    assert found == [[running], [high, low], [blocked], [blocked, high, low, running]]
    bounded = read_serving(store, num_queued=1, num_latest=2)
    assert [record.id for record in bounded.queued] == [high]
    assert list(read_records(store, [low, damaged, "f" * 12])) == [low]
    assert read_records(store, []) == {}


def test_the_watch_wakes_up_at_an_end_and_knows_its_state(client: Redis) -> None:
    store = RunStore(client)
    first, second = (store.submit(REQUEST).run_id for _ in range(2))
    watch = EndWatch(client, [first, second, first])
    assert not watch.look()
    threading.Timer(0.05, store.cancel, [second]).start()
    watch.sleep(20)  # as long as that only if nothing wakes it
    assert not watch.look()
    assert watch.ended == {second: "cancelled"}
    store.cancel(first)
    assert watch.look()
    assert list(watch.ended) == [second, first]
    with pytest.raises(RunNotFound):
        EndWatch(client, ["f" * 12]).look()
