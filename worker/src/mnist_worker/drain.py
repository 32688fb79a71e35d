"""The word from a worker's main process to its pool process: finish up, we are stopping."""

import mmap
import os


class DrainFlag:
    """One byte of memory that a parent and its forked children share; a signal could not cross so safely.

    In a child it is also set when the parent is gone: nobody is left who could tell it anything, or give it work.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)
        self._parent = os.getpid()

    def set(self) -> None:
        self._byte[0] = 1

    def is_set(self) -> bool:
        return self._byte[0] == 1 or self._parent not in (os.getpid(), os.getppid())
