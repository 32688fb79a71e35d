"""A run's events from the first to the last, however often the connection breaks in between."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from mnist_shared.contracts.events import BatchProgress, Finished
from mnist_shared.errors import BrokerRefused, BrokerUnreachable
from mnist_shared.storage.events import BLOCK_MS, EventLog, ToldEvent
from mnist_shared.storage.runs import RunStore

RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class ConnectionLost:
    """Said once an outage; from here on it is tried again, for as long as it takes."""

    reason: str


@dataclass(frozen=True)
class ConnectionBack:
    """The broker answers again; nothing that was told meanwhile is missed."""


@dataclass(frozen=True)
class Quiet:
    """Nothing was told for a moment: time to look at the clock, or at the queue."""


Heard = ToldEvent | ConnectionLost | ConnectionBack | Quiet


def follow_run(store: RunStore, log: EventLog, run_id: str, *, block_ms: int = BLOCK_MS) -> Iterator[Heard]:
    """What a run has told and tells, up to its last event.

    Raises:
        BrokerRefused: the broker answers and will not have us (any more); waiting does not help.
        RunNotFound: the broker does not know the run any more.
    """
    after, live_after, is_lost = "0", None, False
    while True:
        try:
            if is_lost:
                store.get(run_id)
                is_lost = False
                yield ConnectionBack()
            for told in log.follow(run_id, after=after, live_after=live_after, block_ms=block_ms):
                if told is None:
                    store.get(run_id)  # silence also follows when the broker was emptied, or replaced by another
                    yield Quiet()
                    continue
                if isinstance(told.event, BatchProgress):
                    live_after = told.id
                else:
                    after = told.id
                yield told
                if isinstance(told.event, Finished):
                    return
        except BrokerRefused:
            raise
        except BrokerUnreachable as error:
            yield Quiet() if is_lost else ConnectionLost(error.message)
            is_lost = True
            time.sleep(RETRY_SECONDS)
