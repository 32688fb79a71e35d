"""How the events of an execution come to Redis."""

from collections.abc import Sequence

from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EnvironmentRecorded, TrainingStarted
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.grants import Telling
from mnist_shared.storage.runs import Grant, RunStore
from mnist_worker.reporter import Reporter
from tests.processes import eventually

ENVIRONMENT = EnvironmentRecorded(device="cpu", device_name="CPU", num_threads=1, versions={})
STARTED = TrainingStarted(
    dataset="digits", num_images=1, device="cpu", num_threads=1, epoch=0, epochs=1, batch=0, num_batches=1
)


class CountingStore(RunStore):
    """Notes how many events each call tells."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.calls: list[int] = []

    def append_all(self, grant: Grant, tellings: Sequence[Telling]) -> bool:
        self.calls.append(len(tellings))
        return super().append_all(grant, tellings)


def test_events_that_come_together_are_told_in_one_call_and_all_at_the_latest_by_the_flush(client: Redis) -> None:
    store = CountingStore(client)
    grant = store.claim(store.submit(TrainRequest(config=TrainConfig())).run_id, worker="w")
    assert grant is not None
    reporter = Reporter(store, grant)
    reporter.tell(ENVIRONMENT)
    reporter.tell(STARTED)
    reporter.start()
    try:
        assert reporter.flush(seconds=10)
        assert store.calls == [2]
        reporter.tell(STARTED)  # an event alone needs nobody to ask for it
        eventually(lambda: store.calls == [2, 1], what="the last event")
        assert reporter.flush(seconds=10)
    finally:
        reporter.stop()
    told = [one.event for one in EventLog(client).replay(grant.run_id)]
    assert told[2:] == [ENVIRONMENT, STARTED, STARTED]
