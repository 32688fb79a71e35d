"""Workers with a short lease, so that a fault and its recovery fit into a test of seconds."""

from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore
from tests.conftest import Server
from tests.processes import Worker, eventually

LEASE_SECONDS = 3.0


def count_to(steps: int, *, milliseconds: int = 1, seed: int = 1) -> TrainRequest:
    return TrainRequest(config=TrainConfig(dataset="digits", epochs=steps, log_interval=milliseconds, seed=seed))


def steps_told(log: EventLog, run_id: str) -> list[int]:
    return [told.event.metrics.epoch for told in log.replay(run_id) if told.event.type == "epoch"]


@pytest.fixture
def redis(own_server: Server) -> Iterator[Redis]:
    client = connect(own_server.url, retries=20)
    yield client
    client.close()


@pytest.fixture
def store(redis: Redis) -> RunStore:
    return RunStore(redis, lease_seconds=LEASE_SECONDS)


@pytest.fixture
def log(redis: Redis) -> EventLog:
    return EventLog(redis)


@pytest.fixture
def counting(start_worker: Callable[..., Worker], own_server: Server, redis: Redis) -> Callable[..., Worker]:
    """Start a counting worker with the short lease, and wait until it is ready."""

    def start(name: str, server: object = own_server, **extra: str) -> Worker:
        worker = start_worker(name, server, **{"MNIST_LEASE_SECONDS": str(LEASE_SECONDS)} | extra)
        return worker.wait_until_ready(redis)

    return start


@pytest.fixture
def begun(store: RunStore) -> Callable[..., str]:
    """Submit a counting run, and wait until it has a checkpoint."""

    def begin(request: TrainRequest) -> str:
        run_id = store.submit(request).run_id
        eventually(lambda: store.get(run_id).checkpoint, what="a first checkpoint")
        return run_id

    return begin
