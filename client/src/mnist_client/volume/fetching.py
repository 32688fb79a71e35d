"""Copying a run's files off the shared volume: all of them whole, or none."""

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnist_shared.errors import InvalidInput, VolumeError
from mnist_shared.volume.files import CHUNK_BYTES, volume_errors, write_through


@dataclass(frozen=True)
class Copy:
    """One file to be copied."""

    source: Path
    target: Path
    sha256: str | None = None  # that it has to have; None: not known


def check_free(targets: Iterable[Path], *, force: bool) -> None:
    """Whether nothing would be replaced that nobody said to replace.

    Raises:
        InvalidInput: one of them exists.
    """
    taken = [target for target in targets if target.exists()]
    if taken and not force:
        raise InvalidInput(f"{taken[0]} exists already.", hint="Give --force to replace it, or another --output.")


def fetch(copies: Sequence[Copy], *, force: bool) -> None:
    """Copy them under temporary names, compare, and rename them once all are there.

    Raises:
        InvalidInput: a target exists, and `force` is false.
        VolumeError: a source is missing or damaged, or a folder cannot be used.
    """
    check_free((copy.target for copy in copies), force=force)
    temporary = [copy.target.with_name(f".{copy.target.name}.{os.getpid()}.tmp") for copy in copies]
    try:
        for copy, path in zip(copies, temporary, strict=True):
            _copy(copy, path)
        for copy, path in zip(copies, temporary, strict=True):
            with volume_errors(copy.target.parent):
                path.replace(copy.target)
    finally:
        for path in temporary:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _copy(copy: Copy, path: Path) -> None:
    with volume_errors(copy.source.parent):
        try:
            source = copy.source.open("rb")
        except FileNotFoundError as error:
            raise VolumeError(
                f"{copy.source} is missing.", hint="It was removed, or its worker writes to another volume."
            ) from error
    with source, volume_errors(copy.target.parent):
        copy.target.parent.mkdir(parents=True, exist_ok=True)
        found = write_through(iter(lambda: source.read(CHUNK_BYTES), b""), path)
    if copy.sha256 is not None and found != copy.sha256:
        raise VolumeError(
            f"{copy.source} is damaged: its SHA-256 is not the one that its worker told.", hint="Do it again."
        )
