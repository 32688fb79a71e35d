"""The worker's announcement, kept fresh, and whether it may take runs."""

import os
import socket
import time

from mnist_shared.contracts.workers import WorkerInfo
from mnist_shared.storage.workers import ANNOUNCE_SECONDS, Standing, WorkerRegistry
from mnist_worker.gpu import GpuMeter
from mnist_worker.heartbeat import Heartbeat
from mnist_worker.station import Station
from mnist_worker.threads import Repeating


class Presence:
    """Announces a worker every few seconds, from what its pool process reports, and withdraws it at the end.

    Twice a second it asks whether the queue is paused or the worker drained.
    """

    def __init__(self, registry: WorkerRegistry, station: Station, *, versions: dict[str, str]) -> None:
        self._registry, self._station = registry, station
        self._info = WorkerInfo(
            name=station.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            state="starting",
            versions=versions,
            started_at_ms=time.time_ns() // 1_000_000,
        )
        self._gpu = GpuMeter()
        self._heartbeat = Heartbeat.from_environment()
        self._standing: Standing | None = None
        self._announced_at = float("-inf")
        self._thread = Repeating(self._look, seconds=ANNOUNCE_SECONDS / 6, name="presence")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop announcing, and take the announcement back. Raises BrokerUnreachable: then it expires by itself."""
        self._thread.stop()
        self._heartbeat.stop()
        self._registry.withdraw(self._info.name)

    def may_take_runs(self) -> bool:
        """As far as is known; not before the first answer. The claim asks again (`claim.lua`)."""
        return self._standing is not None and not (self._standing.is_paused or self._standing.is_drained)

    def _look(self) -> None:
        self._heartbeat.beat("ready" if self._info.device else "starting")  # before anything that may wait for Redis
        self._standing = self._registry.standing(self._info.name)
        report = self._station.reports.newest()
        info = self._info
        if report is not None:
            changed = {"device": report.device, "run": report.run, "versions": info.versions | report.versions}
            info = info.model_copy(update=changed)
        info = info.model_copy(update={"state": self._state(info, is_drained=self._standing.is_drained)})
        now = time.monotonic()
        if info != self._info or now - self._announced_at >= ANNOUNCE_SECONDS:
            uuid = info.device.uuid if info.device else None
            self._info = info.model_copy(update={"gpu": self._gpu.read(uuid)})
            self._registry.announce(self._info)
            self._announced_at = now

    def _state(self, info: WorkerInfo, *, is_drained: bool) -> str:
        if self._station.drain.is_set():
            return "draining"  # stopping
        if info.device is None:
            return "starting"
        if info.run:
            return "draining" if is_drained else "busy"
        return "drained" if is_drained else "idle"
