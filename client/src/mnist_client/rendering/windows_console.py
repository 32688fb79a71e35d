"""A Windows console shows escape sequences only once it is asked to."""

import sys
from typing import TextIO

ENABLE_VIRTUAL_TERMINAL_PROCESSING = 4


def understands_escapes(stream: TextIO) -> bool:
    """Ask the console behind `stream` to; false where there is none, or it is too old. True on any other system."""
    if sys.platform != "win32":
        return True
    import ctypes
    import msvcrt

    kernel, mode = ctypes.windll.kernel32, ctypes.c_uint32()
    handle = msvcrt.get_osfhandle(stream.fileno())
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(kernel.SetConsoleMode(handle, mode.value | ENABLE_VIRTUAL_TERMINAL_PROCESSING))
