"""The pool process: where torch lives and runs are executed. The main process never imports torch."""

import logging

from mnist_shared.settings import Settings
from mnist_shared.storage.connection import connect
from mnist_shared.storage.keys import Keys
from mnist_shared.storage.runs import RunStore
from mnist_shared.training.allocator import raise_malloc_thresholds
from mnist_worker.drain import DrainFlag
from mnist_worker.execution import Execution, execute
from mnist_worker.reports import PoolReport, ReportPipe

log = logging.getLogger(__name__)


class PoolProcess:
    """Made in the main process, started in the pool process."""

    def __init__(
        self,
        *,
        settings: Settings,
        broker_url: str,
        keys: Keys,
        worker: str,
        drain: DrainFlag,
        reports: ReportPipe,
        num_threads: int | None,
        no_cuda: bool,
        no_mps: bool,
    ) -> None:
        self._settings, self._broker_url, self._keys = settings, broker_url, keys
        self._worker, self._drain, self._reports = worker, drain, reports
        self._limits = {"num_threads": num_threads, "no_cuda": no_cuda, "no_mps": no_mps}

    def start(self) -> None:
        """Load torch, look at the device, say so. Called once in each new pool process."""
        raise_malloc_thresholds()
        from mnist_worker.work import Workbench, library_versions

        self._bench = Workbench(self._settings, **self._limits)  # type: ignore[arg-type]
        self._store = RunStore(connect(self._broker_url), keys=self._keys)
        self._device, self._versions = self._bench.device_info(), library_versions()
        self._report(None)
        log.info("ready on %s (%s), %d threads", self._device.kind, self._device.name, self._device.num_threads)

    def execute(self, run_id: str) -> None:
        """What the tasks call."""

        def work(execution: Execution) -> object:
            self._report(run_id)
            return self._bench.do(execution)

        try:
            execute(run_id, store=self._store, worker=self._worker, drain=self._drain, work=work)  # type: ignore[arg-type]
        finally:
            self._report(None)

    def _report(self, run_id: str | None) -> None:
        self._reports.send(PoolReport(device=self._device, versions=self._versions, run=run_id))
