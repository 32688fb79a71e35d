"""What a worker would have left on the shared volume, made small."""

import hashlib
import os
from pathlib import Path

from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.volume.manifests import CheckpointName
from mnist_shared.volume.run_folder import RunFolder

DAY = 86_400.0


def run_folder(tmp_path: Path, run_id: str) -> RunFolder:
    """The folder of a run in the storage folder of the commands that a test starts."""
    folder = RunFolder(tmp_path / "storage" / "runs", run_id)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    return folder


def write_log(folder: RunFolder, *lines: str) -> None:
    """Append lines, as a worker does."""
    with folder.log_file.open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in lines)


def write_checkpoint(
    folder: RunFolder, *, epoch: int, batch: int = 0, attempt: int = 1, best: bool = False, days_old: float = 0.0
) -> CheckpointName:
    """A checkpoint with its manifest."""
    name = CheckpointName(attempt=attempt, epoch=epoch, batch=batch, best=best)
    content = f"weights of {name.stem}".encode()
    ref = CheckpointRef(
        file=name.file,
        epoch=epoch,
        batch=batch,
        attempt=attempt,
        num_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    (folder.checkpoints / name.file).write_bytes(content)
    (folder.checkpoints / name.manifest).write_text(ref.model_dump_json())
    for path in (folder.checkpoints / name.file, folder.checkpoints / name.manifest):
        moment = path.stat().st_mtime - days_old * DAY
        os.utime(path, (moment, moment))
    return name


def damage(folder: RunFolder, name: CheckpointName) -> None:
    """One byte turned: the same size, another SHA-256."""
    path = folder.checkpoints / name.file
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(bytes(content))
