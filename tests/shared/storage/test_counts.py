"""How many runs there are, by state."""

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage import counts
from mnist_shared.storage.counts import Census
from mnist_shared.storage.runs import RunStore


def test_all_runs_are_counted_by_state_in_steps(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "STEP", 2)
    store = RunStore(client)
    assert Census(client).by_state() == {}
    run_ids = [store.submit(TrainRequest(config=TrainConfig())).run_id for _ in range(5)]
    store.cancel(run_ids[0])
    store.claim(run_ids[1], worker="worker-1")
    assert Census(client).by_state() == {"queued": 3, "running": 1, "cancelled": 1}
    monkeypatch.setattr(counts, "LIMIT", 4)
    assert Census(client).by_state().total() == 4
