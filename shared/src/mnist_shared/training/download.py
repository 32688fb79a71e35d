"""Fetching a data set's raw files through torchvision: whole files or none, one worker at a time, nothing on stdout."""

import contextlib
import io
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from mnist_shared.errors import DatasetError, MissingPart

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

# torchvision sets no timeout: a server that falls silent would hold the lock, and every worker, for ever.
SILENCE_SECONDS = 30.0
LOCK_SECONDS = 900.0


def download(torchvision_name: str, *, folder: Path, files: tuple[str, ...], hint: str) -> None:
    """Put `files` of torchvision's data set into `folder`/<torchvision_name>/raw, unless they are there by then.

    They are fetched into a folder beside it and moved there one by one, whole: a worker that is killed meanwhile leaves
    no half file behind that would look like data.

    Raises:
        DatasetError: no mirror answers, what it sends is damaged, the folder cannot be written to, or another worker's
            download does not end; `hint` becomes the error's.
        MissingPart: torchvision is not installed.
    """
    source = _torchvision_class(torchvision_name)
    raw = folder / torchvision_name / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{torchvision_name}.lock", timeout=LOCK_SECONDS):
            missing = [file for file in files if not (raw / file).is_file()]
            if missing:
                _fetch(source, folder=folder, missing=missing)
    except Timeout as error:
        raise DatasetError(
            f"Another worker has been downloading into {folder} for {LOCK_SECONDS / 60:.0f} minutes.", hint=hint
        ) from error
    # URLError and the timeouts are OSErrors; RuntimeError is torchvision's own, with a line for each mirror.
    except (OSError, RuntimeError, HTTPException, EOFError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[-1]
        raise DatasetError(
            f"{torchvision_name} is not in {folder}, and cannot be downloaded ({reason}).", hint=hint
        ) from error


def _fetch(source: "type[MNIST]", *, folder: Path, missing: list[str]) -> None:
    prefix = f".download-{source.__name__}-"
    for leftover in folder.glob(f"{prefix}*"):  # of a worker that was killed: whoever is alive does not hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    try:
        with _quiet(), _no_endless_silence():
            source(aside, train=True, download=True)
        raw = folder / source.__name__ / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for file in missing:
            os.replace(aside / source.__name__ / "raw" / file, raw / file)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _torchvision_class(name: str) -> "type[MNIST]":
    try:
        from torchvision import datasets  # here, not above: it takes 2 s to import, and only a download needs it
    except ImportError as error:
        raise MissingPart(
            f"Downloading {name} needs torchvision, which is not installed.", hint="pip install 'mnist-shared[train]'"
        ) from error
    found: type[MNIST] = getattr(datasets, name)
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow torchvision's prints and progress bars. Log handlers hold their own stream and are not affected."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _no_endless_silence() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
