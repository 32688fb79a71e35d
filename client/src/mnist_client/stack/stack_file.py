"""`stack.json`: where a running embedded stack can be found by the other commands. Only its owner may read it."""

import os
from pathlib import Path

from pydantic import TypeAdapter

from mnist_shared.contracts.base import Document, read_document
from mnist_shared.errors import VolumeError


class StackFile(Document):
    broker_url: str  # with the password
    pid: int  # of `mnist-client up`
    num_workers: int  # that it keeps running


_STACK = TypeAdapter(StackFile)


def find_running_stack(path: Path) -> StackFile | None:
    """The stack that `path` tells of, if its process lives.

    Raises:
        VolumeError: the file cannot be read.
        ContractError: it is damaged, or another version's.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise VolumeError(
            f"{path} cannot be read: {error}.", hint="Look at the storage folder's permissions."
        ) from error
    stack = read_document(_STACK, text, what=str(path))
    return stack if is_alive(stack.pid) else None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    temporary.replace(path)


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
