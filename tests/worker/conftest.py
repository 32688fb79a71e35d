"""A run store on the test's server, and a worker process that serves it."""

from collections.abc import Callable

import pytest
from redis import Redis

from mnist_shared.storage.runs import RunStore
from tests.conftest import Server
from tests.processes import Worker


@pytest.fixture
def store(client: Redis) -> RunStore:
    return RunStore(client)


@pytest.fixture
def worker(start_worker: Callable[..., Worker], server: Server, client: Redis) -> Worker:
    return start_worker("worker-1", server).wait_until_ready(client)
