"""What the main process and the pool process of one worker share: a name, a broker, and a line in each direction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from mnist_shared.contracts.workers import DeviceInfo
from mnist_shared.storage.connection import connect
from mnist_shared.storage.keys import Keys
from mnist_shared.storage.runs import RunStore
from mnist_worker.flag import SharedFlag
from mnist_worker.reports import PoolReport, ReportPipe


class Station:
    """Made before the fork; the same on both sides of it."""

    def __init__(self, *, name: str, broker_url: str, lease_seconds: float) -> None:
        self.name, self.broker_url, self.lease_seconds = name, broker_url, lease_seconds
        self.drain = SharedFlag()  # from the main process: finish up, we are stopping
        self.failed = SharedFlag()  # from the pool process: it could not be started
        self.ready = SharedFlag()  # from the pool process: a run can be executed now
        self.reports = ReportPipe()
        self._report: PoolReport | None = None

    def store(self) -> RunStore:
        """A run store on a connection of its own: a connection must not cross a fork."""
        return RunStore(connect(self.broker_url), keys=Keys(), lease_seconds=self.lease_seconds)

    def report_device(self, device: DeviceInfo, versions: dict[str, str]) -> None:
        """The pool process is ready for its first run."""
        self._report = PoolReport(device=device, versions=versions)
        self.reports.send(self._report)

    def start_pool(self, start: Callable[[], None]) -> None:
        """Start a pool process's own part; meanwhile nothing is popped from the queue that it could not execute."""
        self.ready.clear()  # it may take over from one that was killed, with a run
        self.reports.send(PoolReport())
        start()
        self.ready.set()

    @contextmanager
    def busy(self, run_id: str) -> Iterator[None]:
        """The pool process is executing this run."""
        assert self._report is not None, "a pool reports its device before its first run"
        self.reports.send(self._report.model_copy(update={"run": run_id}))
        try:
            yield
        finally:
            self.reports.send(self._report)


class Pool(Protocol):
    """What a worker runs in its pool process."""

    def start(self) -> None:
        """Called once in each new pool process, before its first run."""

    def execute(self, run_id: str) -> None:
        """Called with each run id that comes out of the queue."""
