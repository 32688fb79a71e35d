"""The checkpoints in a run's folder as a client may judge them: manifest, size, where asked the SHA-256. No torch."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.errors import ContractError
from mnist_shared.volume.files import sha256_of
from mnist_shared.volume.manifests import CheckpointName, checkpoint_names, read_manifest


@dataclass(frozen=True)
class CheckpointFile:
    """One checkpoint, and whether it can be used."""

    name: CheckpointName
    folder: Path
    num_bytes: int  # of the file; 0 where there is none
    written_at: datetime | None
    ref: CheckpointRef | None  # None: its manifest cannot be read
    problem: str | None  # why it cannot be used; None: nothing speaks against it

    @property
    def path(self) -> Path:
        return self.folder / self.name.file


def inspect(folder: Path, *, verify: bool = False) -> list[CheckpointFile]:
    """The checkpoints in `folder`, the newest first. With `verify` every byte is read.

    Raises:
        VolumeError: the folder cannot be read.
    """
    return [inspect_one(folder, name, verify=verify) for name in checkpoint_names(folder)]


def inspect_one(folder: Path, name: CheckpointName, *, verify: bool) -> CheckpointFile:
    """One checkpoint, by its name."""
    ref, problem, num_bytes, written_at = None, None, 0, None
    try:
        written_at = datetime.fromtimestamp((folder / name.manifest).stat().st_mtime, UTC)
        ref = read_manifest(folder, name)
        num_bytes = (folder / name.file).stat().st_size
        if num_bytes != ref.num_bytes:
            problem = f"it has {num_bytes:,} bytes, not {ref.num_bytes:,}"
        elif verify and sha256_of(folder / name.file) != ref.sha256:
            problem = "its SHA-256 is not the one in its manifest"
    except ContractError as error:
        problem = error.message.rstrip(".")
    except FileNotFoundError as error:
        problem = f"{Path(error.filename).name} is missing"
    except OSError as error:
        problem = f"it cannot be read ({error.strerror or error})"
    return CheckpointFile(name, folder, num_bytes=num_bytes, written_at=written_at, ref=ref, problem=problem)


def newest_usable(files: list[CheckpointFile]) -> CheckpointFile | None:
    """The one that a resume starts from."""
    return next((file for file in files if file.problem is None), None)


def best_of(files: list[CheckpointFile]) -> CheckpointFile | None:
    """The one of the best validation accuracy: the newest that was the best when it was written."""
    return next((file for file in files if file.name.best and file.problem is None), None)
