"""A store whose leases a test can let run out, on the session's real server."""

import time
from collections.abc import Callable

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore

TRAIN = TrainRequest(config=TrainConfig(dataset="digits", epochs=1))


@pytest.fixture
def store(client: Redis) -> RunStore:
    # The server of the tests may have been up for less than a whole lease, and nothing is reaped before that.
    store = RunStore(client, lease_seconds=1)
    while int(client.info("server")["uptime_in_seconds"]) < 1:
        time.sleep(0.05)
    return store


@pytest.fixture
def log(client: Redis) -> EventLog:
    return EventLog(client)


@pytest.fixture
def expire(store: RunStore) -> Callable[[str], None]:
    """Let a run's lease run out, as if its owner had been silent for long."""

    def expire(run_id: str) -> None:
        store.redis.zadd(store.keys.leases, {run_id: 1})
        somebody_reaps(store)

    return expire


def somebody_reaps(store: RunStore) -> None:
    """As if workers had been reaping all along, so that there was no silence to be careful about."""
    seconds, microseconds = store.redis.time()
    store.redis.set(store.keys.last_reap, int(seconds) * 1000 + int(microseconds) // 1000)
    store.redis.delete(store.keys.hold)


def types(log: EventLog, run_id: str) -> list[str]:
    return [told.event.type for told in log.replay(run_id)]
