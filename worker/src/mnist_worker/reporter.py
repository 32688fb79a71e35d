"""One execution's line to Redis: a thread that renews the lease and tells the events, in their order.

The training loop never waits for the network: it leaves its events here and looks at two flags. When the broker is
away, the events wait; when it is back, they are told. An append is numbered, so one whose answer was lost is not told
twice.
"""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from mnist_shared.contracts.events import BatchProgress, CheckpointSaved, RunEvent
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.runs import Progress
from mnist_shared.errors import BrokerUnreachable, LeaseLost
from mnist_shared.storage.grants import Telling
from mnist_shared.storage.runs import Grant, RunStore
from mnist_worker.event_lines import line_of

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
GATHER_SECONDS = 0.01  # events that come this close together are told in one call
MAX_AT_ONCE = 50  # events in one call: a script should be brief
MAX_BACKLOG = 200  # from here on, batch progress is dropped: nobody watches while the broker is away


class Reporter:
    """The heartbeat and the outbox of one granted run."""

    def __init__(self, store: RunStore, grant: Grant) -> None:
        self._store, self._grant = store, grant
        self._outbox: deque[tuple[int, RunEvent]] = deque()
        self._changed = threading.Condition()
        self._sequence = 0
        self._progress: Progress | None = None
        self._stopping = False
        self._flushing = False
        self._reachable = True
        self.lost = threading.Event()  # somebody else owns the run: commit nothing
        self.cancel_requested = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reporter-{grant.run_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self, event: RunEvent) -> None:
        """Leave an event to be told."""
        if line := line_of(event):
            log.info("run %s: %s", self._grant.run_id, line)
        with self._changed:
            if isinstance(event, BatchProgress) and len(self._outbox) >= MAX_BACKLOG:
                return
            self._sequence += 1
            self._outbox.append((self._sequence, event))
            self._changed.notify_all()

    def authorize(self) -> None:
        """Ask whether this execution may still commit.

        With the broker out of reach nobody can know; the caller goes on, since what it writes bears its own attempt's
        number and can replace nobody else's.

        Raises:
            LeaseLost: it may not.
        """
        if not self.lost.is_set():
            try:
                self._note(self._store.renew(self._grant))
            except BrokerUnreachable as error:
                log.warning("run %s: %s Going on meanwhile.", self._grant.run_id, error.message)
            except LeaseLost:
                self.lost.set()
        if self.lost.is_set():
            raise LeaseLost(f"Attempt {self._grant.attempt} no longer owns run {self._grant.run_id}.")

    def flush(self, *, seconds: float) -> bool:
        """Wait until all is told; false when the run was lost before that, or the time is up."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            while self._outbox and not self.lost.is_set() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(timeout=left)
            self._flushing = False
            return not self._outbox and not self.lost.is_set()

    def stop(self) -> None:
        """End the thread; what is not told by now stays untold."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout=10)

    # ---- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        renew_at = time.monotonic() + self._store.renew_seconds
        while True:
            with self._changed:
                while not self._outbox and not self._stopping and time.monotonic() < renew_at:
                    self._changed.wait(timeout=max(0.0, renew_at - time.monotonic()))
                if self._outbox:
                    self._changed.wait_for(lambda: self._flushing or self._stopping, timeout=GATHER_SECONDS)
                if self._stopping:
                    return
                waiting = list(itertools.islice(self._outbox, MAX_AT_ONCE))
            try:
                if time.monotonic() >= renew_at:
                    self._note(self._store.renew(self._grant))
                    renew_at = time.monotonic() + self._store.renew_seconds
                if waiting:
                    self._note(self._append(waiting))
                    with self._changed:
                        for _ in waiting:
                            self._outbox.popleft()
                        self._changed.notify_all()
                self._reachable = True
            except BrokerUnreachable as error:
                if self._reachable:
                    log.warning("run %s: %s Its events wait; training goes on.", self._grant.run_id, error.message)
                self._reachable = False
                time.sleep(RETRY_SECONDS)
            except Exception as error:
                # LeaseLost, or the edge of the thread: without a heartbeat the run is as good as lost.
                if not isinstance(error, LeaseLost):
                    log.exception("run %s: the reporter failed", self._grant.run_id)
                with self._changed:
                    self.lost.set()
                    self._changed.notify_all()
                return

    def _append(self, waiting: Sequence[tuple[int, RunEvent]]) -> bool:
        tellings, before = [], self._progress
        for sequence, event in waiting:
            after = advance(before, event)
            checkpoint = event.checkpoint if isinstance(event, CheckpointSaved) else None
            tellings.append(Telling(sequence, event, after if after != before else None, checkpoint))
            before = after
        cancel_requested = self._store.append_all(self._grant, tellings)
        self._progress = before
        return cancel_requested

    def _note(self, cancel_requested: bool) -> None:
        if cancel_requested:
            self.cancel_requested.set()
