"""One GPU a worker: which one, agreed upon between all workers of a machine by locks on the shared volume.

Containers of one machine have neither processes nor a /run in common, but they have the volume. A lock is the kernel's
(`flock`): it is gone when the last process that holds it is, however that ended, so there is nothing to clean up. The
main process takes it before any torch starts, and its pool process inherits both the lock and CUDA_VISIBLE_DEVICES.

More workers than GPUs are served as MNIST_GPU_POLICY says: `share` (the default: they spread evenly), `wait` (until a
GPU is free) or `cpu`.
"""

import errno
import fcntl
import importlib
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from mnist_shared.errors import VolumeError

log = logging.getLogger(__name__)

Policy = Literal["share", "wait", "cpu"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
POLICY_VARIABLE = "MNIST_GPU_POLICY"
WAIT_SECONDS = 1.0
MAX_SHARERS = 64  # of one GPU; more than that is a mistake


@dataclass(frozen=True)
class Gpu:
    """A GPU that the driver shows to this process."""

    uuid: str  # "GPU-5b5c..."
    name: str


@dataclass(frozen=True)
class Claim:
    """A GPU of a worker's own, or its share of one, for as long as the process and its children live."""

    gpu: Gpu
    sharers_before: int  # workers that had it already; 0: it is this one's alone so far
    _lock: IO[str]

    def release(self) -> None:
        """Let go before the process ends."""
        self._lock.close()


def list_gpus(*, visible: str | None = None) -> list[Gpu]:
    """The GPUs that NVML lists, in its order, less what CUDA_VISIBLE_DEVICES (`visible`) hides; no pynvml: none.

    An entry of `visible` is a UUID, the beginning of one, or a position in NVML's order; as in CUDA, what stands
    behind the first one that names no GPU does not count.
    """
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        log.debug("no NVIDIA driver answers: %s", error)
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        found = [Gpu(_text(nvml.nvmlDeviceGetUUID(one)), _text(nvml.nvmlDeviceGetName(one))) for one in handles]
    except nvml.NVMLError as error:
        log.warning("the GPUs cannot be listed: %s. Which one is used is left to torch.", error)
        return []
    finally:
        nvml.nvmlShutdown()  # before the fork: NVML's state is not made to cross one
    return _visible(found, visible)


def claim_gpu(
    folder: Path, gpus: Sequence[Gpu], *, policy: Policy, worker: str, on_wait: Callable[[], None] = lambda: None
) -> Claim | None:
    """Take a free GPU of `gpus` by a lock in `folder`; None when there is none and the policy is `cpu`.

    `on_wait` is called each second while the policy has this worker wait.

    Raises:
        VolumeError: the folder cannot be written to, or its file system has no locks.
    """
    told = False
    while True:
        for sharers in range(MAX_SHARERS if policy == "share" else 1):
            for gpu in gpus:
                if lock := _try_lock(folder / _file_name(gpu, sharers), worker=worker):
                    return Claim(gpu, sharers, lock)
        if policy != "wait":
            return None
        if not told:
            log.warning("all %d GPUs are taken by other workers; waiting for one", len(gpus))
        told = True
        on_wait()
        time.sleep(WAIT_SECONDS)


def show_only(claim: Claim | None) -> None:
    """Make the claimed GPU the only one that CUDA shows to this process and its children; None: show it none."""
    os.environ["CUDA_VISIBLE_DEVICES"] = claim.gpu.uuid if claim else ""


def _visible(gpus: list[Gpu], visible: str | None) -> list[Gpu]:
    if visible is None:
        return gpus
    chosen: list[Gpu] = []
    for word in (part.strip() for part in visible.split(",")):
        if word.isascii() and word.isdigit():
            named = gpus[int(word) : int(word) + 1]
        else:
            named = [gpu for gpu in gpus if word and gpu.uuid.startswith(word)]
        if len(named) != 1:
            break
        if named[0] not in chosen:
            chosen.append(named[0])
    return chosen


def _file_name(gpu: Gpu, sharers: int) -> str:
    return f"{re.sub(r'[^A-Za-z0-9-]', '_', gpu.uuid)}.{sharers}.lock"


def _try_lock(path: Path, *, worker: str) -> IO[str] | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        # For whoever looks into the folder; the lock alone decides.
        file.truncate(0)
        file.write(f"{worker} on {socket.gethostname()}, process {os.getpid()}\n")
        file.flush()
    except OSError as error:
        raise VolumeError(
            f"{path} cannot be locked: {error.strerror or error}.",
            hint="The storage folder must be writable for the worker, on a file system that has locks.",
        ) from error
    return file


def _text(found: str | bytes) -> str:
    return found.decode() if isinstance(found, bytes) else found  # older bindings answer with bytes
