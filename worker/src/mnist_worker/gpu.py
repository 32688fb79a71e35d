"""How busy this worker's GPU is, as the driver tells it through NVML. Needs `nvidia-ml-py`, and does without."""

import importlib
import logging
from typing import Any

from mnist_shared.contracts.workers import GpuUse

log = logging.getLogger(__name__)


class GpuMeter:
    """Asks the driver about one GPU; once it has failed it is not asked again."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: dict[str, Any] = {}
        self._is_broken = False

    def read(self, uuid: str | None) -> GpuUse | None:
        """The use of the GPU of this UUID; None without one, or when nobody can tell."""
        if uuid is None or self._is_broken:
            return None
        try:
            if self._nvml is None:
                nvml = importlib.import_module("pynvml")
                nvml.nvmlInit()
                self._nvml = nvml
            if uuid not in self._handles:
                self._handles[uuid] = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
            handle = self._handles[uuid]
            rates, memory = self._nvml.nvmlDeviceGetUtilizationRates(handle), self._nvml.nvmlDeviceGetMemoryInfo(handle)
            return GpuUse(utilization=rates.gpu / 100, memory_used_bytes=memory.used)
        except Exception as error:
            # Not installed, no driver, a partition (MIG) that has no figures: nothing that a worker's life hangs on.
            log.info("the GPU's use is not shown: %s", error or type(error).__name__)
            self._is_broken = True
            return None
