"""Writing to the shared volume: whole files or none, and one clear line when it does not work."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_shared.errors import VolumeError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

CHUNK_BYTES = 2**20  # that are read or written at once
_PROBLEMS = {
    errno.ENOSPC: ("is full", "Free some space there; nothing that was on it has been changed."),
    errno.EDQUOT: ("is over its quota", "Free some space there; nothing that was on it has been changed."),
    errno.EFBIG: ("takes no file this large", "Raise the limit on file sizes (ulimit -f)."),
    errno.EROFS: ("is mounted read-only", "Mount it read-write, or set MNIST_STORAGE_DIR to another folder."),
    errno.EACCES: ("may not be written to by this user", "Check its owner and permissions, or set MNIST_STORAGE_DIR."),
    errno.EPERM: ("may not be written to by this user", "Check its owner and permissions, or set MNIST_STORAGE_DIR."),
    errno.EIO: ("answers with an input/output error", "Check the disk, or the network it is mounted over."),
    errno.ESTALE: ("has gone away", "Mount it again."),
    errno.ENOTCONN: ("has gone away", "Mount it again."),
    errno.ETIMEDOUT: ("does not answer", "Check the network it is mounted over."),
}


@contextmanager
def volume_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a VolumeError that names the folder and what to do.

    Raises:
        VolumeError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        unknown = (f"cannot be used: {error.strerror or error}", "Check that it is there and can be written to.")
        problem, hint = _PROBLEMS.get(error.errno or 0, unknown)
        raise VolumeError(f"The folder {folder} {problem}.", hint=hint) from error


@contextmanager
def committed(folder: Path, *, attempt: int, authorize: Callable[[], None]) -> Iterator[Callable[[str, bytes], str]]:
    """Put what the block writes under its names, durably, in the order given; or leave the folder as it was.

    Yields `write(name, content)`, which returns the content's SHA-256. Each file has a temporary name that carries
    `attempt`, and is renamed at the end of the block, only after `authorize` has returned: an execution that lost its
    run, however long it slept, raises there and its files go.

    Raises:
        OSError: the volume is full, read-only or out of reach.
        Whatever `authorize` or the block raises.
    """
    names: dict[Path, Path] = {}  # temporary, and the final one
    renamed: list[Path] = []

    def write(name: str, content: bytes) -> str:
        temporary = folder / f"{name}.a{attempt:04d}.tmp"
        names[temporary] = folder / name
        return write_through(_chunks(content), temporary)

    try:
        yield write
        for temporary, name in names.items():
            authorize()
            os.replace(temporary, name)
            renamed.append(name)
    except BaseException:
        for file in (*names, *renamed):
            remove(file)
        raise
    _sync_folder(folder)


def write_files(
    folder: Path, files: Sequence[tuple[str, bytes]], *, attempt: int, authorize: Callable[[], None]
) -> dict[str, str]:
    """`committed` files in a folder that need not be there yet; what earlier attempts have left half-written goes.

    Returns the SHA-256 of each, by its name.

    Raises:
        VolumeError: the volume is full, read-only or out of reach; what was under these names stays.
        Whatever `authorize` raises.
    """
    with volume_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with committed(folder, attempt=attempt, authorize=authorize) as write:
            digests = {name: write(name, content) for name, content in files}
        remove_leftovers(folder, before_attempt=attempt)
        return digests


def sha256_of(path: Path) -> str:
    """Of the file's bytes, as 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path, *, before_attempt: int) -> None:
    """Delete the temporary files of earlier attempts, killed while they wrote; never this one's or a later one's."""
    for file in folder.glob("*.tmp"):
        attempt = file.stem.rpartition(".a")[2]
        if attempt.isdecimal() and int(attempt) < before_attempt:
            remove(file)


def remove(file: Path) -> bool:
    """Delete `file` if that is possible; whether it was. Tidying must never be what ends a run."""
    try:
        file.unlink()
    except OSError:
        return False
    return True


def sync_soon(file: Path) -> None:
    """Have `file` and its name made durable, by a thread, while the caller goes on. A failure is the disk's to tell."""
    _syncer().submit(_sync, [os.open(file, os.O_RDONLY), os.open(file.parent, os.O_RDONLY)])


@cache
def _syncer() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # the client, which reads checkpoints, starts without it

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")  # the interpreter waits for it before it exits


def _sync(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        try:
            os.fsync(descriptor)
        except OSError:
            pass
        finally:
            os.close(descriptor)


def write_through(chunks: Iterable[bytes | memoryview], path: Path) -> str:
    """Write a file that is on the disk when this returns; its SHA-256. Raises OSError, and what `chunks` raises."""
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for chunk in chunks:
            digest.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def _chunks(content: bytes) -> Iterator[memoryview]:
    """`content` in pieces that stay in a core's cache between their digest and the disk."""
    return (memoryview(content)[first : first + CHUNK_BYTES] for first in range(0, len(content), CHUNK_BYTES))


def _sync_folder(folder: Path) -> None:
    # After a rename the file's own fsync is not enough: its name must become durable too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
