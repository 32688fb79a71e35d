"""Users' own data sets on the shared volume: copied there once, under a name that is the digest of what is in them.

So a run's data cannot change after it was submitted, every worker finds it, and no path of a client's reaches a worker.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from mnist_shared.contracts.config import OWN_DATASET_PATTERN
from mnist_shared.contracts.names import matches
from mnist_shared.errors import DatasetError, InvalidInput
from mnist_shared.volume.files import sha256_of, volume_errors

FOLDER = "own-datasets"  # inside the storage folder
MAX_BYTES = 8 * 2**30
MAX_FILES = 500_000


def own_dataset_folder(storage_dir: Path, name: str) -> Path:
    """Where the data set `name` lies.

    Raises:
        InvalidInput: it is no such name.
    """
    if not matches(name, OWN_DATASET_PATTERN):
        raise InvalidInput(f"{name!r:.80} is not a data set.", hint="Give a folder: --dataset ./my-digits.")
    return storage_dir / FOLDER / name.removeprefix("own/")


def stage_dataset(source: Path, *, storage_dir: Path) -> str:
    """Copy the data set in the folder `source` to the volume, unless it is there; return its name.

    Raises:
        DatasetError: the folder is empty, too large, or cannot be read.
        VolumeError: the storage folder cannot be written to.
    """
    try:
        files = list(_files(source))
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file.relative_to(source).as_posix()}\n{sha256_of(file)}\n".encode())
    except OSError as error:
        raise DatasetError(
            f"{error.filename or source} cannot be read ({error.strerror or error}).", hint="Check the path."
        ) from error
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", source.resolve().name).strip("-_")[:40] or "set"
    name = f"own/{stem}-{digest.hexdigest()[:12]}"
    target = own_dataset_folder(storage_dir, name)
    if target.is_dir():
        return name
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with volume_errors(storage_dir):
        try:
            for file in files:
                copy = aside / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
            try:
                os.rename(aside, target)
            except OSError:
                if not target.is_dir():  # otherwise another client was quicker
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return name


def _files(source: Path) -> Iterator[Path]:
    """The regular files in `source`, hidden ones left out, in a fixed order."""
    total = count = 0
    for folder, subfolders, names in os.walk(source, onerror=_raise):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder) / name
            if name.startswith(".") or not file.is_file():
                continue
            count += 1
            total += file.stat().st_size
            if count > MAX_FILES or total > MAX_BYTES:
                raise DatasetError(
                    f"{source} holds more than {MAX_FILES:,} files or {MAX_BYTES / 1e9:.0f} GB.",
                    hint="Give the folder of the data set itself.",
                )
            yield file
    if count == 0:
        raise DatasetError(f"There is no data set in {source}.", hint="Give a folder with IDX files or pictures.")


def _raise(error: OSError) -> None:
    raise error
