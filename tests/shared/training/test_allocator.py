"""The malloc thresholds, where there is a glibc to take them."""

import subprocess
import sys

import pytest

from mnist_shared.training import allocator

# Frees and takes 8 MiB again and again, and counts the pages that the kernel had to bring in for it.
COUNT_FAULTS = """
import ctypes, resource, sys
from mnist_shared.training.allocator import raise_malloc_thresholds
if sys.argv[1] == "raised":
    assert raise_malloc_thresholds()
    assert "torch" not in sys.modules
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
# As much as glibc would give back: by itself it learns to keep a single block, but not several.
def touch():
    blocks = [libc.malloc(30 * 2**20) for _ in range(4)]
    for block in blocks:
        libc.memset(block, 1, 30 * 2**20)
    for block in blocks:
        libc.free(block)
touch()
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not allocator._is_glibc(), reason="this C library is not glibc")
def test_large_blocks_are_paged_in_only_once() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", COUNT_FAULTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("raised") < 100
    assert faults("as they are") > 10_000


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.os, "confstr", lambda name: None)
    assert allocator.raise_malloc_thresholds() is False
    monkeypatch.delattr(allocator.os, "confstr")
    assert allocator.raise_malloc_thresholds() is False
