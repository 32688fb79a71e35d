"""The word from a worker's main process to its pool process: finish up, we are stopping."""

import mmap


class DrainFlag:
    """One byte of memory that a parent and its forked children share; a signal could not cross so safely."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._byte[0] = 1

    def is_set(self) -> bool:
        return self._byte[0] == 1
