"""Who gets which GPU, with real processes and made-up GPUs."""

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mnist_shared.errors import VolumeError
from mnist_worker.gpu_claim import Gpu, claim_gpu, list_gpus, show_only
from tests.processes import ROOT

GPUS = [Gpu("GPU-aaaa", "made up"), Gpu("GPU-bbbb", "made up")]

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Start a worker's two processes that claim one of two GPUs."""
    started: list[subprocess.Popen[str]] = []

    def start(policy: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.worker.gpu_holder", str(tmp_path / "gpus"), policy, "w"]
        holder = subprocess.Popen(
            [*command, *(gpu.uuid for gpu in GPUS)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(holder)
        return holder

    yield start
    for holder in started:
        try:
            os.killpg(holder.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        holder.wait()
        assert holder.stdout
        holder.stdout.close()


def said(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout
    return holder.stdout.readline().strip()


def kill_whole(holder: subprocess.Popen[str]) -> None:
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()


def test_each_worker_gets_a_gpu_of_its_own_and_shows_torch_no_other(hold: Hold) -> None:
    assert {said(hold("wait")), said(hold("wait"))} == {"shown GPU-aaaa", "shown GPU-bbbb"}


def test_a_killed_worker_frees_its_gpu_for_one_that_waits(hold: Hold) -> None:
    first, second = hold("wait"), hold("wait")
    shown = {said(first): first, said(second): second}
    third = hold("wait")
    assert said(third) == "waiting"
    kill_whole(shown["shown GPU-bbbb"])
    while (line := said(third)) == "waiting":
        pass
    assert line == "shown GPU-bbbb"


def test_a_gpu_is_not_free_while_the_pool_process_of_its_dead_worker_lives(hold: Hold) -> None:
    first, second = hold("cpu"), hold("cpu")
    assert {said(first), said(second)} == {"shown GPU-aaaa", "shown GPU-bbbb"}
    pool = psutil.Process(first.pid).children()[0]
    first.kill()
    first.wait()
    assert said(hold("cpu")) == "shown none"
    pool.kill()
    pool.wait()
    assert said(hold("cpu")).startswith("shown GPU-")


def test_more_workers_than_gpus_use_the_cpu_where_that_is_asked_for(hold: Hold) -> None:
    assert [said(hold("cpu")) for _ in range(3)] == ["shown GPU-aaaa", "shown GPU-bbbb", "shown none"]


def test_more_workers_than_gpus_share_evenly(hold: Hold) -> None:
    shown = [said(hold("share")) for _ in range(5)]
    assert sorted(shown[:4]) == ["shown GPU-aaaa"] * 2 + ["shown GPU-bbbb"] * 2
    assert shown[4] == "shown GPU-aaaa"


def test_a_released_gpu_is_free(tmp_path: Path) -> None:
    first = claim_gpu(tmp_path, GPUS[:1], policy="cpu", worker="first")
    assert first
    assert claim_gpu(tmp_path, GPUS[:1], policy="cpu", worker="second") is None
    assert "first on " in (tmp_path / "GPU-aaaa.0.lock").read_text()
    first.release()
    again = claim_gpu(tmp_path, GPUS[:1], policy="share", worker="second")
    assert again
    assert again.sharers_before == 0
    again.release()


def test_a_strange_uuid_stays_inside_the_folder(tmp_path: Path) -> None:
    claim = claim_gpu(tmp_path / "gpus", [Gpu("../../etc/x", "made up")], policy="cpu", worker="w")
    assert claim
    claim.release()
    assert [path.parent for path in tmp_path.rglob("*.lock")] == [tmp_path / "gpus"]


def test_a_folder_that_cannot_be_locked_in_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VolumeError, match="cannot be locked") as caught:
        claim_gpu(tmp_path / "file" / "gpus", GPUS, policy="share", worker="w")
    assert caught.value.hint


class FakeNvml(types.ModuleType):
    """As much of pynvml as is used."""

    class NVMLError(Exception):
        pass

    def __init__(self, uuids: list[str | bytes], *, broken: bool = False) -> None:
        super().__init__("pynvml")
        self.uuids, self.broken, self.open = uuids, broken, 0

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str | bytes:
        return self.uuids[handle]

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "made up"


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-aa", "GPU-ab", "GPU-c"]),
        ("2,0", ["GPU-c", "GPU-aa"]),
        ("GPU-c,1", ["GPU-c", "GPU-ab"]),
        ("GPU-a,GPU-c", []),  # names two
        ("1,9,0", ["GPU-ab"]),
        ("1,1", ["GPU-ab"]),
        ("-1", []),
        ("", []),
    ],
)
def test_only_gpus_that_the_operator_shows_are_claimed(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, uuids: list[str]
) -> None:
    nvml = FakeNvml(["GPU-aa", b"GPU-ab", "GPU-c"])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert [gpu.uuid for gpu in list_gpus(visible=visible)] == uuids
    assert nvml.open == 0


def test_without_nvml_or_a_driver_there_is_nothing_to_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert list_gpus() == []
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([], broken=True))
    assert list_gpus() == []


def test_a_worker_without_a_gpu_shows_torch_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    show_only(None)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
