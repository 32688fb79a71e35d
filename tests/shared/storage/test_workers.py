"""Who has announced itself, who has withdrawn, and who has just fallen silent."""

import pytest
from redis import Redis

from mnist_shared.contracts.workers import WorkerInfo
from mnist_shared.errors import InvalidInput
from mnist_shared.storage.workers import EXPIRY_SECONDS, REMEMBERED_SECONDS, WorkerRegistry


@pytest.fixture
def registry(client: Redis) -> WorkerRegistry:
    client.flushall()
    return WorkerRegistry(client)


def announce(registry: WorkerRegistry, name: str, *, seconds_ago: float = 0) -> None:
    registry.announce(WorkerInfo(name=name, host="h", pid=1, state="idle", versions={}, started_at_ms=1))
    registry.redis.zincrby(registry.keys.workers, -seconds_ago * 1000, name)


def names(workers: list) -> list[str]:
    return [worker.info.name for worker in workers]


def test_a_worker_that_falls_silent_is_lost_and_one_that_withdraws_is_gone(registry: WorkerRegistry) -> None:
    announce(registry, "alive")
    announce(registry, "silent", seconds_ago=EXPIRY_SECONDS + 1)
    announce(registry, "stopped")
    registry.withdraw("stopped")
    assert names(registry.present()) == ["alive"]
    assert names(registry.lost()) == ["silent"]
    assert registry.lost()[0].seen_at < registry.present()[0].seen_at


def test_a_lost_worker_that_comes_back_is_present_again(registry: WorkerRegistry) -> None:
    announce(registry, "worker-1", seconds_ago=EXPIRY_SECONDS + 1)
    announce(registry, "worker-1")
    assert (names(registry.present()), registry.lost()) == (["worker-1"], [])


def test_a_worker_lost_long_ago_is_forgotten(registry: WorkerRegistry) -> None:
    announce(registry, "old", seconds_ago=REMEMBERED_SECONDS + 1)
    announce(registry, "alive")
    assert registry.lost() == []


def test_only_what_may_be_a_workers_name_is_drained(registry: WorkerRegistry) -> None:
    for hostile in ("", "a b", "../x", "x" * 64):
        with pytest.raises(InvalidInput):
            registry.drain(hostile)
