"""`run.json`, written once by a run's first attempt and kept to by all later ones."""

import os
from pathlib import Path

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.runs import RUN_FILE, RunFile
from mnist_shared.errors import VolumeError
from mnist_shared.volume.files import sync_soon


def settle(path: Path, proposal: RunFile, *, attempt: int) -> RunFile:
    """The run file that holds: the one that lies at `path`, or else `proposal`, written there.

    Raises:
        VolumeError: the folder cannot be written to.
        ContractError: what lies there is damaged, or of another version.
    """
    temporary = path.with_name(f".run.json.a{attempt:04d}")
    try:
        if _is_empty(path):
            path.unlink()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(proposal.model_dump_json(indent=2), encoding="utf-8")
            try:
                os.link(temporary, path)  # unlike a rename, it never replaces what another attempt wrote
                sync_soon(path)
                return proposal
            except FileExistsError:
                pass
            finally:
                temporary.unlink(missing_ok=True)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise VolumeError(
            f"{path.parent} cannot be written: {error.strerror or error}.",
            hint="Free space on the storage folder, or make it writable for the worker; then submit again.",
        ) from error
    return read_document(RUN_FILE, text, what=str(path))


def _is_empty(path: Path) -> bool:
    """What a machine leaves that lost power right after the file was made, before it was on the disk."""
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return False
