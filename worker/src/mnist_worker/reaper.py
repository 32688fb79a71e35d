"""Takes back the runs of dead workers. Every worker does it; one is enough."""

import logging

from mnist_shared.storage.runs import RunStore
from mnist_worker.threads import Repeating

log = logging.getLogger(__name__)

WORDS = {
    "requeued": "its worker was lost; it is queued again",
    "cancelled": "its worker was lost, and a cancel was waiting; it is cancelled",
    "failed": "its worker was lost too often; it has failed",
    "woken": "its message was lost; it is sent again",
}


def make_reaper(store: RunStore) -> Repeating:
    """The thread, not yet started."""

    def reap() -> None:
        for reaped in store.reap():
            log.warning("run %s: %s", reaped.run_id, WORDS[reaped.action])

    return Repeating(reap, seconds=store.reap_seconds, name="reaper")
