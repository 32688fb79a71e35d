"""Devices and cores. Which GPUs there are is torch's to say; here it is told what to say."""

import os
from pathlib import Path

import pytest
import torch

from mnist_shared.training.device import available_cores, choose_device, describe_device


@pytest.mark.parametrize(
    ("cuda", "mps", "no_cuda", "no_mps", "chosen"),
    [
        (True, True, False, False, "cuda"),
        (True, True, True, False, "mps"),
        (True, True, True, True, "cpu"),
        (False, True, False, False, "mps"),
        (False, True, False, True, "cpu"),
        (True, False, True, False, "cpu"),
        (False, False, False, False, "cpu"),
    ],
)
def test_cuda_comes_before_mps_before_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, no_cuda: bool, no_mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device(no_cuda=no_cuda, no_mps=no_mps).type == chosen


def test_a_cpu_is_described_by_its_name() -> None:
    info = describe_device(torch.device("cpu"), 3)
    assert (info.kind, info.num_threads, info.memory_bytes) == ("cpu", 3, None)
    assert info.name


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_the_affinity_limits_the_cores(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert available_cores(cgroup_root=tmp_path, membership=tmp_path / "none") == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("own", "outer", "cores"),
    [
        ("max 100000", "max 100000", 64),
        ("150000 100000", "max 100000", 1),
        ("max 100000", "350000 100000", 3),
        ("800000 100000", "200000 100000", 2),
        ("50000 100000", None, 1),
        ("garbage", None, 64),
        (None, None, 64),
    ],
)
def test_the_smallest_quota_from_here_to_the_root_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, outer: str | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    group = tmp_path / "cgroup" / "system.slice" / "worker.service"
    group.mkdir(parents=True)
    for folder, content in ((group, own), (group.parent, outer)):
        if content is not None:
            (folder / "cpu.max").write_text(content + "\n")
    membership = tmp_path / "membership"
    membership.write_text("12:cpu:/v1\n0::/system.slice/worker.service\n")
    assert available_cores(cgroup_root=tmp_path / "cgroup", membership=membership) == cores


def test_this_machine_has_at_least_one_core() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
