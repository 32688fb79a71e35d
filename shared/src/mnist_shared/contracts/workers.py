"""What a worker says about itself, every few seconds, for as long as it lives."""

from typing import Literal

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import Document
from mnist_shared.contracts.names import RunId, WorkerName


class DeviceInfo(Document):
    """The device a worker trains on."""

    kind: Literal["cuda", "mps", "cpu"]
    name: str  # "NVIDIA H100 80GB HBM3", or the processor's
    memory_bytes: int | None = None  # of the GPU
    uuid: str | None = None  # of the GPU
    num_threads: int = Field(ge=1)


class GpuUse(Document):
    """How busy a GPU is, by whoever uses it."""

    utilization: float = Field(ge=0, le=1)  # share of the last sample period in which a kernel ran
    memory_used_bytes: int = Field(ge=0)


class WorkerInfo(Document):
    """A worker's announcement."""

    name: WorkerName
    host: str
    pid: int
    state: Literal["starting", "idle", "busy", "draining", "drained"]  # drained: alive, takes no new runs
    device: DeviceInfo | None = None  # None until torch is loaded
    versions: dict[str, str]  # of mnist-worker, torch, torchvision, celery, python
    run: RunId | None = None
    gpu: GpuUse | None = None
    started_at_ms: int  # by the worker's own clock: shown, never compared


WORKER: TypeAdapter[WorkerInfo] = TypeAdapter(WorkerInfo)
