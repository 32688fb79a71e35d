"""What the pool process tells the main process: its device once torch is loaded, and which run it is busy with.

A pipe made before the fork: each report is one line shorter than PIPE_BUF, which the kernel writes whole, and a pool
process that takes over from a dead one inherits the same end.
"""

import os

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import Document
from mnist_shared.contracts.names import RunId
from mnist_shared.contracts.workers import DeviceInfo


class PoolReport(Document):
    device: DeviceInfo | None = None  # None: not ready yet, or again
    versions: dict[str, str] = Field(default_factory=dict)
    run: RunId | None = None


_REPORT = TypeAdapter(PoolReport)


class ReportPipe:
    """The pipe's two ends."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._rest = b""

    def send(self, report: PoolReport) -> None:
        """Called by the pool process. A pipe that nobody empties is not worth waiting for."""
        try:
            os.write(self._write_end, report.model_dump_json().encode() + b"\n")
        except BlockingIOError:
            pass

    def newest(self) -> PoolReport | None:
        """Called by the main process: the last report since the last call."""
        try:
            while chunk := os.read(self._read_end, 65_536):
                self._rest += chunk
        except BlockingIOError:
            pass
        *lines, self._rest = self._rest.split(b"\n")
        return _REPORT.validate_json(lines[-1]) if lines else None
