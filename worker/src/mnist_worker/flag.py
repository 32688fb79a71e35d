"""A word between a worker's main process and its pool process, that takes no waiting and no signal."""

import mmap


class SharedFlag:
    """One byte of memory that a parent and its forked children share."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._byte[0] = 1

    def clear(self) -> None:
        self._byte[0] = 0

    def is_set(self) -> bool:
        return self._byte[0] == 1
