"""A GPU's use, asked of a driver that is not there: a stand-in for the `pynvml` module."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from mnist_shared.contracts.workers import GpuUse
from mnist_worker.gpu import GpuMeter

UUID = "GPU-5b5c0d6e-0000-0000-0000-000000000000"


class FakeNvml(ModuleType):
    def __init__(self) -> None:
        super().__init__("pynvml")
        self.calls: list[str] = []
        self.fails = False

    def nvmlInit(self) -> None:
        self.calls.append("init")
        if self.fails:
            raise RuntimeError("Driver Not Loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.calls.append(uuid)
        return uuid

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(gpu=37, memory=5)

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(used=2**30, total=2**36)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_the_driver_is_asked_about_the_gpu_of_that_uuid(nvml: FakeNvml) -> None:
    meter = GpuMeter()
    for _ in range(2):
        assert meter.read(UUID) == GpuUse(utilization=0.37, memory_used_bytes=2**30)
    assert nvml.calls == ["init", UUID]


def test_a_worker_without_a_gpu_asks_nobody(nvml: FakeNvml) -> None:
    assert GpuMeter().read(None) is None
    assert nvml.calls == []


def test_a_driver_that_fails_is_asked_once(nvml: FakeNvml) -> None:
    nvml.fails = True
    meter = GpuMeter()
    assert (meter.read(UUID), meter.read(UUID)) == (None, None)
    assert nvml.calls == ["init"]


def test_without_the_package_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert GpuMeter().read(UUID) is None
