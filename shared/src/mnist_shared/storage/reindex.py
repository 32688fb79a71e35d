"""Make run records again from the shared volume, after Redis has lost them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mnist_shared.contracts.names import RUN_ID_PATTERN, matches
from mnist_shared.errors import ContractError, VolumeError
from mnist_shared.storage.archive import Archive, read_archive
from mnist_shared.storage.runs import RunStore
from mnist_shared.volume.run_folder import RunFolder


@dataclass
class Reindexed:
    """What became of each run folder."""

    restored: list[str] = field(default_factory=list)  # ended; its record is back
    requeued: list[str] = field(default_factory=list)  # not ended; queued again, it goes on from its last checkpoint
    known: list[str] = field(default_factory=list)  # had a record
    unreadable: dict[str, str] = field(default_factory=dict)  # with the reason


def reindex(store: RunStore, runs_dir: Path) -> Reindexed:
    """Restore a record for each run folder that has none; what has not ended is queued again, the oldest first.

    Raises:
        VolumeError: the folder of the runs cannot be read.
    """
    found = Reindexed()
    try:
        names = [path.name for path in runs_dir.iterdir() if matches(path.name, RUN_ID_PATTERN)]
    except OSError as error:
        raise VolumeError(
            f"{runs_dir} cannot be read: {error.strerror or error}.",
            hint="Point MNIST_STORAGE_DIR or --storage at the workers' storage folder.",
        ) from error
    archives: list[tuple[int, Archive]] = []
    for name in names:
        folder = RunFolder(runs_dir, name)
        try:
            archives.append((folder.run_file.stat().st_mtime_ns // 1_000_000, read_archive(folder)))
        except (ContractError, OSError, ValueError) as error:
            found.unreadable[name] = str(error)
    for written_ms, archive in sorted(archives, key=lambda pair: pair[0]):
        run_id = archive.run_file.id
        attempt = highest_attempt(RunFolder(runs_dir, run_id), archive)
        if not store.restore(archive, attempt=attempt, written_ms=written_ms):
            found.known.append(run_id)
        elif archive.finished:
            found.restored.append(run_id)
        else:
            found.requeued.append(run_id)
    return found


def highest_attempt(folder: RunFolder, archive: Archive) -> int:
    """The newest attempt that left a trace: the next one's number, and so its files, must come after it."""
    told = [getattr(one.event, "attempt", 0) for one in archive.events]
    named = [int(match[1]) for path in folder.checkpoints.glob("*") if (match := re.search(r"-a(\d+)\.", path.name))]
    return max([0, *told, *named])
