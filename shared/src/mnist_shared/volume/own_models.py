"""Users' own model files on the shared volume: copied there once, under a name with the digest of what is in them.

As with their data sets (`own_datasets`): what a run evaluates cannot change after it was submitted, every worker finds
it, and no path of a client's reaches a worker.
"""

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mnist_shared.contracts.names import MODEL_NAME_PATTERN, MODEL_SUFFIXES, RUN_ID_PATTERN, matches
from mnist_shared.contracts.requests import ModelFile
from mnist_shared.errors import InvalidInput, VolumeError
from mnist_shared.volume.files import CHUNK_BYTES, sha256_of, volume_errors, write_through
from mnist_shared.volume.run_folder import RunFolder

FOLDER = "own-models"  # inside the storage folder
MAX_BYTES = 512 * 2**20  # a checkpoint of the widest network, with averaged weights and Adam's moments, has 460 MB
WHAT_TO_GIVE = f"Give a model file ({', '.join(MODEL_SUFFIXES)})."


def own_model_path(storage_dir: Path, name: str) -> Path:
    """Where the model file `name` lies.

    Raises:
        InvalidInput: it is no such name.
    """
    if not matches(name, MODEL_NAME_PATTERN):
        raise InvalidInput(f"{name!r:.80} is not a model file on the volume.", hint="Give the file itself.")
    return storage_dir / FOLDER / name


def stage_model(source: Path, *, storage_dir: Path) -> ModelFile:
    """Copy the model file `source` to the volume, unless it is there; its name and digest.

    Raises:
        InvalidInput: it is missing, empty, too large, no regular file, of another suffix, or cannot be read.
        VolumeError: the storage folder cannot be written to.
    """
    suffix = source.suffix.lower()
    with _opened(source) as stream:
        digest = hashlib.sha256()
        for chunk in _chunks(stream, source):
            digest.update(chunk)
        sha256 = digest.hexdigest()
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", source.stem).strip("-_")[:63] or "model"
        file = ModelFile(name=f"{stem}-{sha256[:12]}{suffix}", sha256=sha256)
        target = own_model_path(storage_dir, file.name)
        if target.is_file():
            return file
        aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        stream.seek(0)
        with volume_errors(storage_dir):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if write_through(_chunks(stream, source), aside) != sha256:
                    raise InvalidInput(f"{source} changes while it is read.", hint="Try again when it is complete.")
                os.replace(aside, target)  # of two clients each has the same file
            finally:
                aside.unlink(missing_ok=True)
    return file


def read_model(storage_dir: Path, file: ModelFile) -> bytes:
    """The file's content, which is what it was when the user gave it.

    Raises:
        VolumeError: it is not there, or cannot be read.
        InvalidInput: it is too large, or another file than was given.
    """
    path = own_model_path(storage_dir, file.name)
    if not path.is_file():  # never a pipe, at which a worker would wait
        raise VolumeError(
            f"The model file {file.name} is not in {path.parent}.",
            hint="Client and workers need the same storage folder: see `mnist-client doctor`.",
        )
    with volume_errors(path.parent), path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES or hashlib.sha256(content).hexdigest() != file.sha256:
        raise InvalidInput(
            f"The model file {path} is not the one that was given: its SHA-256 is another.",
            hint="Delete it, and evaluate your file again.",
        )
    return content


def was_exported(runs_dir: Path, content: bytes) -> bool:
    """Whether a worker of this volume has exported this very TorchScript program.

    The exports themselves are compared, not what a model card says: a card quotes the names of classes and data sets,
    which are any text that a user likes.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    with volume_errors(runs_dir):
        for folder in runs_dir.iterdir() if runs_dir.is_dir() else ():
            if matches(folder.name, RUN_ID_PATTERN):
                export = RunFolder(runs_dir, folder.name).torchscript
                if export.is_file() and export.stat().st_size == len(content) and sha256_of(export) == sha256:
                    return True
    return False


def _opened(source: Path) -> BinaryIO:
    try:
        found = source.stat()
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no file"
            raise InvalidInput(f"{source} is {what}.", hint=WHAT_TO_GIVE)
        if not 0 < found.st_size <= MAX_BYTES:
            what = f"is larger than a model file may be ({MAX_BYTES >> 20} MiB)" if found.st_size else "is empty"
            raise InvalidInput(f"{source} {what}.", hint=WHAT_TO_GIVE)
        if source.suffix.lower() not in MODEL_SUFFIXES:
            raise InvalidInput(f"{source} has none of the suffixes of a model file.", hint=WHAT_TO_GIVE)
        return source.open("rb")
    except FileNotFoundError as error:
        raise InvalidInput(f"{source} does not exist.", hint=WHAT_TO_GIVE) from error
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def _chunks(stream: BinaryIO, source: Path) -> Iterator[bytes]:
    num_bytes = 0
    try:
        while chunk := stream.read(CHUNK_BYTES):
            num_bytes += len(chunk)
            if num_bytes > MAX_BYTES:
                raise InvalidInput(f"{source} grows while it is read.", hint="Try again when it is complete.")
            yield chunk
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: OSError | ValueError) -> InvalidInput:
    return InvalidInput(f"{source} cannot be read ({getattr(error, 'strerror', None) or error}).", hint=WHAT_TO_GIVE)
