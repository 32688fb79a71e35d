"""Which device a run trains on, and how many cores this process may use."""

import os
import platform
from pathlib import Path

import torch

from mnist_shared.contracts.workers import DeviceInfo

CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP = Path("/proc/self/cgroup")


def choose_device(*, no_cuda: bool, no_mps: bool) -> torch.device:
    """CUDA where there is one, else Apple's Metal, else the CPU; a switch leaves its device out."""
    if not no_cuda and torch.cuda.is_available():
        return torch.device("cuda")
    if not no_mps and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_algorithms(device: torch.device, *, deterministic: bool) -> None:
    """Whether a GPU may only use algorithms that give the same bits each time, or the fastest there are.

    Those of a CPU always give the same. On a GPU the fastest round the factors of convolutions and matrix products to
    TF32 (10 bits of mantissa); the deterministic ones are float32 throughout. cuBLAS reads its workspace setting when
    its first handle is made (https://docs.pytorch.org/docs/stable/notes/randomness.html), so the first call of a
    process decides about that one.
    """
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = not deterministic
        precision = "ieee" if deterministic else "tf32"
        torch.backends.cuda.matmul.fp32_precision = precision
        torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(deterministic and device.type == "cuda")


def describe_device(device: torch.device, num_threads: int) -> DeviceInfo:
    """What a worker announces about `device`; `num_threads` are those of CPU operations."""
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return DeviceInfo(
            kind="cuda",
            name=found.name,
            memory_bytes=found.total_memory,
            uuid=f"GPU-{found.uuid}" if hasattr(found, "uuid") else None,  # as the driver writes it
            num_threads=num_threads,
        )
    return DeviceInfo(kind="mps" if device.type == "mps" else "cpu", name=_processor_name(), num_threads=num_threads)


def available_cores(*, cgroup_root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> int:
    """The CPU cores this process may use, at least 1: the lesser of its affinity and its cgroup v2 quota, rounded down.

    A container with `cpus: 1.5` on a host of 64 cores has 64 in its affinity; 64 threads there would wait for each
    other most of the time. The two paths are where Linux keeps the quota and the process's place under it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores(cgroup_root, membership)
    return max(1, cores if quota is None else min(cores, int(quota)))


def _cgroup_cores(root: Path, membership: Path) -> float | None:
    """The smallest quota from the process's own group up to the root, in cores; None where there is none."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    own = next((line[3:] for line in lines if line.startswith("0::/")), None)  # "0::" marks the v2 hierarchy
    if own is None:
        return None
    group = root / own.strip("/")
    quotas = [_quota(folder / "cpu.max") for folder in (group, *group.parents) if folder.is_relative_to(root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(file: Path) -> float | None:
    """The cores that a `cpu.max` file grants ("150000 100000" is 1.5, "max 100000" no limit)."""
    try:
        quota, period = file.read_text().split()
        return float(quota) / float(period) if quota != "max" else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"
