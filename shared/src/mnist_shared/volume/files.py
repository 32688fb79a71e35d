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


def commit_files(
    folder: Path, files: Sequence[tuple[str, bytes]], *, attempt: int, authorize: Callable[[], None]
) -> None:
    """Put whole files under their names, durably, in the order given; or leave the folder as it was.

    Each is written under a temporary name that carries `attempt`, and renamed only after `authorize` has returned: an
    execution that lost its run, however long it slept, raises there and its files go.

    Raises:
        OSError: the volume is full, read-only or out of reach.
        Whatever `authorize` raises.
    """
    temporary = [folder / f"{name}.a{attempt:04d}.tmp" for name, _ in files]
    renamed: list[Path] = []
    try:
        for file, (_, content) in zip(temporary, files, strict=True):
            _write(file, [content])
        for file, (name, _) in zip(temporary, files, strict=True):
            authorize()
            os.replace(file, folder / name)
            renamed.append(folder / name)
    except BaseException:
        for file in (*temporary, *renamed):
            remove(file)
        raise
    _sync_folder(folder)


def write_files(
    folder: Path, files: Sequence[tuple[str, bytes]], *, attempt: int, authorize: Callable[[], None]
) -> None:
    """`commit_files` into a folder that need not be there yet; what earlier attempts have left half-written goes.

    Raises:
        VolumeError: the volume is full, read-only or out of reach; what was under these names stays.
        Whatever `authorize` raises.
    """
    with volume_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        commit_files(folder, files, attempt=attempt, authorize=authorize)
        remove_leftovers(folder, before_attempt=attempt)


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


def write_through(chunks: Iterable[bytes], path: Path) -> str:
    """Write a file that is on the disk when this returns; its SHA-256. Raises OSError, and what `chunks` raises."""
    digest = hashlib.sha256()

    def seen() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    _write(path, seen())
    return digest.hexdigest()


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    # After a rename the file's own fsync is not enough: its name must become durable too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
