"""Which checkpoints a folder holds: their names, manifests, order and retention. Loads no torch.

A checkpoint exists when, and only when, its manifest does: `epoch-0003-batch-00000-a0001.json`, the CheckpointRef of
the file of the same name that ends in `.pt`. The name tells epoch, batch and attempt, so no two executions write the
same. `-best` at its end marks the best validation accuracy so far.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.errors import ContractError
from mnist_shared.volume.files import volume_errors

_REF: TypeAdapter[CheckpointRef] = TypeAdapter(CheckpointRef)
_STEM = re.compile(r"epoch-(\d{4,9})-batch-(\d{5,9})-a(\d{4,9})(-best)?")
# A damaged newest checkpoint needs one to fall back to, also before the first epoch has ended.
MIN_KEPT = 2


class CheckpointName(NamedTuple):
    """What a checkpoint's file name tells. Ascending order is from the oldest to the newest."""

    attempt: int
    epoch: int  # finished epochs
    batch: int  # finished batches of the epoch after those
    best: bool = False  # of the best validation accuracy when it was written

    @property
    def stem(self) -> str:
        return f"epoch-{self.epoch:04d}-batch-{self.batch:05d}-a{self.attempt:04d}{'-best' if self.best else ''}"

    @property
    def file(self) -> str:
        return f"{self.stem}.pt"

    @property
    def manifest(self) -> str:
        return f"{self.stem}.json"


def parse_name(file: str) -> CheckpointName | None:
    """What the name of a `.pt` or `.json` file tells; None when it is not a checkpoint's."""
    stem, _, suffix = file.rpartition(".")
    found = _STEM.fullmatch(stem)
    if found is None or suffix not in ("pt", "json"):
        return None
    epoch, batch, attempt = (int(number) for number in found.groups()[:3])
    name = CheckpointName(attempt=attempt, epoch=epoch, batch=batch, best=found.group(4) is not None)
    return name if name.stem == stem else None  # superfluous zeros would let two files have one name


def checkpoint_names(folder: Path) -> list[CheckpointName]:
    """The checkpoints in `folder`, whose manifests nobody has read yet, the newest first. No folder: none.

    A later attempt's are newer: what an earlier one wrote after it was thought dead never comes before them.

    Raises:
        VolumeError: the folder cannot be read.
    """
    with volume_errors(folder):
        try:
            files = [file.name for file in folder.iterdir() if file.suffix == ".json"]
        except FileNotFoundError:
            return []
    return sorted((name for name in map(parse_name, files) if name is not None), reverse=True)


def read_manifest(folder: Path, name: CheckpointName) -> CheckpointRef:
    """The manifest of one checkpoint.

    Raises:
        ContractError: it is damaged, of another version, or speaks of another checkpoint than its own.
        OSError: it is gone, or cannot be read.
    """
    ref = read_document(_REF, (folder / name.manifest).read_bytes(), what=f"The manifest {name.manifest}")
    if (ref.file, ref.attempt, ref.epoch, ref.batch) != (name.file, name.attempt, name.epoch, name.batch):
        raise ContractError(f"The manifest {name.manifest} is another checkpoint's.", hint="It was renamed or edited.")
    return ref


def list_checkpoints(folder: Path) -> list[CheckpointRef]:
    """The checkpoints in `folder` whose manifests can be read, the newest first. Their files are not looked at.

    Raises:
        VolumeError: the folder cannot be read.
    """
    refs = []
    for name in checkpoint_names(folder):
        try:
            refs.append(read_manifest(folder, name))
        except (ContractError, OSError):
            continue
    return refs


def expendable(names: Sequence[CheckpointName], *, keep_last: int) -> list[CheckpointName]:
    """Those of `names` (the newest first) that retention removes.

    Kept are the newest, the best, the last `keep_last` that stand between two epochs, and, while these are fewer than
    MIN_KEPT and `keep_last` allows it, the newest of those within an epoch.
    """
    kept = set(names[:1])
    kept.update([name for name in names if name.best][:1])
    kept.update([name for name in names if name.batch == 0][:keep_last])
    for name in names:
        if len(kept) >= min(keep_last, MIN_KEPT):
            break
        kept.add(name)
    return [name for name in names if name not in kept]
