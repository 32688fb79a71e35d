"""Which checkpoints of ended runs may go, and their removal. What a run could go on from stays."""

import time
from dataclasses import dataclass
from pathlib import Path

from mnist_client.volume.checkpoint_files import CheckpointFile, inspect_one
from mnist_shared.volume.files import remove, volume_errors
from mnist_shared.volume.manifests import checkpoint_names, parse_name
from mnist_shared.volume.run_folder import RunFolder

# Half-written files are left alone for so long: a worker that was cut off may still be at them.
LEFTOVER_SECONDS = 3600.0


@dataclass(frozen=True)
class Collection:
    """What is to be removed of one run."""

    run_id: str
    doomed: list[CheckpointFile]
    num_kept: int
    leftovers: list[Path]  # files that are part of no checkpoint: of workers killed while they wrote
    leftover_bytes: int

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.doomed) + self.leftover_bytes

    @property
    def is_empty(self) -> bool:
        return not self.doomed and not self.leftovers


def plan(folder: RunFolder, *, keep: int, older_than_seconds: float | None = None) -> Collection:
    """What may go of a run that has ended.

    The newest `keep` that can be used stay (verified to the last byte before anything may go), and the best. Where not
    one can be used, all stay: whoever repairs them may need them. `keep` 0: all go.

    Raises:
        VolumeError: the folder cannot be read.
    """
    names, now = checkpoint_names(folder.checkpoints), time.time()
    usable, others, best = 0, [], False
    for name in names:
        needed = usable < keep or (name.best and not best and keep > 0)
        file = inspect_one(folder.checkpoints, name, verify=needed and len(names) > 1)
        if needed and file.problem is None:
            usable += 1
            best = best or name.best
        else:
            others.append(file)
    doomed = others if usable or not keep else []
    if older_than_seconds is not None:
        limit = now - older_than_seconds
        doomed = [file for file in doomed if file.written_at is not None and file.written_at.timestamp() < limit]
    leftovers, leftover_bytes = _leftovers(folder.checkpoints, now=now)
    return Collection(
        folder.run_id,
        doomed=doomed,
        num_kept=len(names) - len(doomed),
        leftovers=leftovers,
        leftover_bytes=leftover_bytes,
    )


def carry_out(collection: Collection) -> list[Path]:
    """Remove it; the files that could not be removed."""
    stayed = []
    for file in collection.doomed:
        # The manifest first: without it the other is no checkpoint, and nobody takes half of one for a whole.
        for path in (file.folder / file.name.manifest, file.path):
            if not remove(path) and path.exists():
                stayed.append(path)
                break
    return stayed + [path for path in collection.leftovers if not remove(path) and path.exists()]


def _leftovers(folder: Path, *, now: float) -> tuple[list[Path], int]:
    found, num_bytes = [], 0
    with volume_errors(folder):
        try:
            paths = list(folder.iterdir())
        except FileNotFoundError:
            return [], 0
    names = {path.name for path in paths}
    for path in paths:
        name = parse_name(path.name)
        is_orphan = path.suffix == ".pt" and name is not None and name.manifest not in names
        if not is_orphan and path.suffix != ".tmp":
            continue
        try:
            stat = path.stat()
        except OSError:
            continue
        if now - stat.st_mtime > LEFTOVER_SECONDS:
            found.append(path)
            num_bytes += stat.st_size
    return found, num_bytes
