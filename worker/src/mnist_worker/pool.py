"""The pool process: where torch lives and runs are executed. The main process never imports torch."""

import logging
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from mnist_shared.contracts.events import Finished
from mnist_shared.contracts.runs import RunResult
from mnist_shared.settings import Settings
from mnist_shared.storage.runs import Grant, RunStore
from mnist_worker.execution import Execution, execute
from mnist_worker.station import Station

if TYPE_CHECKING:
    from mnist_worker.work import Workbench

log = logging.getLogger(__name__)


class TrainingPool:
    """Made in the main process, started in each new pool process."""

    def __init__(
        self,
        station: Station,
        *,
        settings: Settings,
        num_threads: int | None,
        no_cuda: bool,
        no_mps: bool,
        gpu_uuid: str | None = None,  # of the one GPU that CUDA shows this worker
    ) -> None:
        self._station, self._settings = station, settings
        self._num_threads, self._no_cuda, self._no_mps = num_threads, no_cuda, no_mps
        self._gpu_uuid = gpu_uuid
        self._bench: Workbench
        self._store: RunStore

    def start(self) -> None:
        """Load torch, look at the device, say so."""
        from mnist_shared.training.process import prepare_process

        prepare_process()
        from mnist_worker.work import Workbench, library_versions

        self._bench = Workbench(
            self._settings, num_threads=self._num_threads, no_cuda=self._no_cuda, no_mps=self._no_mps
        )
        self._bench.warm_up()
        self._store = self._station.store()
        device = self._bench.device_info()
        if device.kind == "cuda" and self._gpu_uuid:
            device = device.model_copy(update={"uuid": self._gpu_uuid})
        self._station.report_device(device, library_versions())
        log.info("ready on %s (%s), %d threads", device.kind, device.name, device.num_threads)

    def execute(self, run_id: str) -> None:
        """Execute a run; what the tasks call."""
        station = self._station

        def work(execution: Execution) -> RunResult | None:
            with station.busy(run_id):
                return self._bench.do(execution)

        def archive(grant: Grant, last: Finished) -> None:
            self._bench.archive(self._store, grant, last)

        def keep_log(grant: Grant) -> AbstractContextManager[None]:
            return self._bench.keep_log(grant, worker=station.name)

        execute(
            run_id,
            store=self._store,
            worker=station.name,
            drain=station.drain,
            work=work,
            archive=archive,
            keep_log=keep_log,
        )
