"""The worker's announcement, kept fresh."""

import os
import socket
import time

from mnist_shared.contracts.workers import WorkerInfo
from mnist_shared.storage.workers import ANNOUNCE_SECONDS, WorkerRegistry
from mnist_worker.station import Station
from mnist_worker.threads import Repeating


class Presence:
    """Announces a worker every few seconds, from what its pool process reports, and withdraws it at the end."""

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
        self._thread = Repeating(self._announce, seconds=ANNOUNCE_SECONDS / 6, name="presence")
        self._announced_at = float("-inf")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop announcing, and take the announcement back. Raises BrokerUnreachable: then it expires by itself."""
        self._thread.stop()
        self._registry.withdraw(self._info.name)

    def _announce(self) -> None:
        report = self._station.reports.newest()
        changed = {}
        if report is not None:
            changed = {"device": report.device, "run": report.run, "versions": self._info.versions | report.versions}
        info = self._info.model_copy(update=changed)
        state = (
            "draining"
            if self._station.drain.is_set()
            else "starting"
            if not info.device
            else "busy"
            if info.run
            else "idle"
        )
        info = info.model_copy(update={"state": state})
        now = time.monotonic()
        if info != self._info or now - self._announced_at >= ANNOUNCE_SECONDS:
            self._info = info
            self._registry.announce(info)
            self._announced_at = now
