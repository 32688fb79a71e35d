"""Takes back the runs of dead workers, and forgets those that ended long ago. Every worker does it; one is enough."""

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


PRUNE_SECONDS = 600.0


def make_pruner(store: RunStore, *, keep_days: float) -> Repeating:
    """The thread that forgets, not yet started; `keep_days` 0 keeps all for ever."""

    def prune() -> None:
        while keep_days and (pruned := store.prune(keep_days=keep_days)):
            log.info("%d runs that ended more than %g days ago are forgotten; their files stay", len(pruned), keep_days)

    return Repeating(prune, seconds=PRUNE_SECONDS, name="pruner")


def make_reaper(store: RunStore) -> Repeating:
    """The thread that takes back, not yet started."""

    def reap() -> None:
        for reaped in store.reap():
            log.warning("run %s: %s", reaped.run_id, WORDS[reaped.action])

    return Repeating(reap, seconds=store.reap_seconds, name="reaper")
