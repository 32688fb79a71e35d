"""Checkpoints on the shared volume: committed whole or not at all, checked before they are loaded, never code."""

import hashlib
import io
import logging
import pickle
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.errors import CheckpointError, ContractError, VolumeError
from mnist_shared.volume.files import committed, remove, remove_leftovers, volume_errors, write_files
from mnist_shared.volume.manifests import CheckpointName, checkpoint_names, expendable, parse_name, read_manifest

logger = logging.getLogger(__name__)

# How often a folder is listed again because its checkpoints were replaced meanwhile (those of a run in training).
NUM_LISTINGS = 5
# What torch.load raises on a file that is no checkpoint, or holds more than tensors and scalars.
_UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class CheckpointStore:
    """One execution's access to its run's checkpoints.

    Args:
        folder: where they lie; made when the first one is saved.
        attempt: the fencing token of this execution, part of every name that it writes.
        authorize: asked right before each rename; raises LeaseLost when another execution owns the run.
        keep_last: how many checkpoints that stand between two epochs are kept.
    """

    folder: Path
    _: KW_ONLY
    attempt: int
    authorize: Callable[[], None]
    keep_last: int

    def save(self, content: bytes, *, epoch: int, batch: int, best: bool = False) -> CheckpointRef:
        """Commit a checkpoint of these bytes (of `serialized`), then remove what is no longer needed.

        Written aside, fsynced, authorized, renamed; the manifest last, whose rename is the commit.

        Raises:
            LeaseLost: `authorize` raised it; nothing is left of this checkpoint.
            VolumeError: the volume is full, read-only or out of reach; the checkpoints before this one are untouched.
        """
        name = CheckpointName(attempt=self.attempt, epoch=epoch, batch=batch, best=best)
        with volume_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with committed(self.folder, attempt=self.attempt, authorize=self.authorize) as write:
                ref = CheckpointRef(
                    file=name.file,
                    epoch=epoch,
                    batch=batch,
                    attempt=self.attempt,
                    num_bytes=len(content),
                    sha256=write(name.file, content),
                )
                write(name.manifest, ref.model_dump_json(indent=2).encode())
        self._tidy()
        return ref

    def load_newest(self, *, on_rejected: Callable[[str, str], None]) -> tuple[CheckpointRef, dict[str, Any]] | None:
        """`load_newest` of this run's own folder."""
        return load_newest(self.folder, on_rejected=on_rejected)

    def _tidy(self) -> None:
        # What cannot be removed stays until next time: a failed deletion must not end a run whose checkpoint is safe.
        try:
            names = checkpoint_names(self.folder)
            for name in expendable(names, keep_last=self.keep_last):
                # A later attempt's files are not this one's to remove, should it have lost the run without knowing yet.
                # The manifest goes first: without it the other is no checkpoint, and a later attempt sweeps it up.
                if name.attempt <= self.attempt and remove(self.folder / name.manifest):
                    remove(self.folder / name.file)
            known = {name.file for name in names}
            for file in self.folder.glob("*.pt"):
                unfinished = parse_name(file.name)
                if unfinished is not None and file.name not in known and unfinished.attempt < self.attempt:
                    remove(file)
            remove_leftovers(self.folder, before_attempt=self.attempt)
        except (VolumeError, OSError) as error:
            logger.warning("Old checkpoints in %s were not removed: %s", self.folder, error)


def load_newest(
    folder: Path,
    *,
    on_rejected: Callable[[str, str], None],
    is_wanted: Callable[[CheckpointName], bool] = lambda _: True,
) -> tuple[CheckpointRef, dict[str, Any]] | None:
    """The newest checkpoint in `folder` that is whole, and its state with all tensors on the CPU; None: there is none.

    Those whose name is not wanted are not looked at.

    Size and SHA-256 are compared with the manifest before the file is parsed, and only tensors and plain values are
    accepted from it. One that fails is passed over, after `on_rejected(file, reason)` was told.

    Raises:
        CheckpointError: there are checkpoints, and none is usable; the message names each with its reason.
        VolumeError: the folder cannot be read.
    """
    rejected: dict[str, str] = {}
    for _ in range(NUM_LISTINGS):
        names = [name for name in checkpoint_names(folder) if is_wanted(name)]
        for name in names:
            try:
                ref = read_manifest(folder, name)
                return ref, _read_state(folder / name.file, ref)
            except _Rejected as error:
                reason = str(error)
            except ContractError as error:
                reason = error.message
            except OSError as error:
                reason = f"it cannot be read ({error.strerror or error})"
            # Without its manifest it was replaced by a newer one in the meantime, which is no damage.
            if (folder / name.manifest).exists() and name.file not in rejected:
                rejected[name.file] = reason
                on_rejected(name.file, reason)
        if all(name.file in rejected for name in names):
            break
    if not rejected:
        return None
    listed = "; ".join(f"{file}: {reason}" for file, reason in rejected.items())
    raise CheckpointError(
        f"No checkpoint in {folder} can be used ({listed}).", hint="Train from the beginning with --no-resume."
    )


def serialized(state: Mapping[str, Any]) -> bytes:
    """A checkpoint's bytes: `state` (tensors, numbers, strings, lists and dicts of them) as torch.save writes it.

    Without the zip's own checksums: 3 of 4 ms, and the manifest's SHA-256 says more.
    """
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        return _saved(dict(state))
    finally:
        torch.serialization.set_crc32_options(before)


def save_model(path: Path, model: nn.Module, *, attempt: int, authorize: Callable[[], None]) -> None:
    """Write the weights alone to `path`: a plain state_dict, which pytorch/examples' network loads too.

    Raises:
        LeaseLost: `authorize` raised it; nothing is written.
        VolumeError: the volume is full, read-only or out of reach; what was at `path` stays.
    """
    content = _saved({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()})
    write_files(path.parent, [(path.name, content)], attempt=attempt, authorize=authorize)


class _Rejected(Exception):
    """A checkpoint's file is not what its manifest says."""


def _saved(state: dict[str, Any]) -> bytes:
    # In memory first: a fault of the volume is then a plain OSError, and the digest that of the intended bytes.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _read_state(file: Path, ref: CheckpointRef) -> dict[str, Any]:
    num_bytes = file.stat().st_size
    if num_bytes != ref.num_bytes:
        raise _Rejected(f"it has {num_bytes} bytes, not {ref.num_bytes}")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise _Rejected("its SHA-256 is not the one in its manifest")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise _Rejected(f"it is no checkpoint of tensors and plain values ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise _Rejected(f"it holds a {type(state).__name__}, not a state")
    return state
