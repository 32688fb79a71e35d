"""Copying a checkpoint off the shared volume: the whole of it, checked against its manifest, or nothing."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mnist_client.volume.checkpoint_files import CheckpointFile, best_of, inspect, newest_usable
from mnist_client.volume.fetching import check_free
from mnist_shared.errors import CheckpointError, InvalidInput
from mnist_shared.volume.files import CHUNK_BYTES, volume_errors, write_through
from mnist_shared.volume.run_folder import RunFolder

NUM_LISTINGS = 5  # how often a folder is listed again because a checkpoint was replaced meanwhile, by a run in training


def pull(folder: RunFolder, *, which: str, output: Path, force: bool) -> tuple[CheckpointFile, Path]:
    """Copy the checkpoint `which` (`last`, `best` or an epoch) into the folder `output`; it and where it is now.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        InvalidInput: `which` is none of these, or the file exists and `force` is false.
        VolumeError: one of the two folders cannot be used.
    """
    for _ in range(NUM_LISTINGS):
        file = select(folder, inspect(folder.checkpoints), which=which)
        target = output / f"{folder.run_id}-{file.name.file}"
        check_free([target], force=force)
        try:
            with volume_errors(output):
                output.mkdir(parents=True, exist_ok=True)
                _copy(file, target)
            return file, target
        except _Replaced:
            continue
    raise CheckpointError(
        f"The checkpoints of run {folder.run_id} are replaced faster than they can be copied.",
        hint="Try again, or wait for the run's end.",
    )


def select(folder: RunFolder, files: list[CheckpointFile], *, which: str) -> CheckpointFile:
    """The one of `files` (the newest first) that a user means.

    Raises:
        CheckpointError: there is none, or it is damaged.
        InvalidInput: `which` is neither `last`, nor `best`, nor an epoch.
    """
    word, see = which.strip().lower(), f"See `mnist-client checkpoints list {folder.run_id}`."
    if not files:
        raise CheckpointError(f"Run {folder.run_id} has no checkpoint in {folder.checkpoints}.", hint=see)
    if word == "last":
        if (found := newest_usable(files)) is None:
            raise CheckpointError(f"No checkpoint of run {folder.run_id} can be used: {files[0].problem}.", hint=see)
        return found
    if word == "best":
        if (found := best_of(files)) is None:
            raise CheckpointError(
                f"Run {folder.run_id} has no best checkpoint: that is chosen by the validation set, and it has none.",
                hint="Train with --validation-size, or pull --which last.",
            )
        return found
    if not (word.isascii() and word.isdecimal() and len(word) < 9):
        raise InvalidInput(f"--which: {which!r:.40} is no checkpoint.", hint="Write last, best, or an epoch.")
    of_epoch = [file for file in files if (file.name.epoch, file.name.batch) == (int(word), 0)]
    if not of_epoch:
        epochs = ", ".join(str(epoch) for epoch in sorted({file.name.epoch for file in files if not file.name.batch}))
        raise CheckpointError(
            f"Run {folder.run_id} has no checkpoint of the end of epoch {word}"
            + (f"; there are those of {epochs}." if epochs else "."),
            hint=see,
        )
    if (found := newest_usable(of_epoch)) is None:
        raise CheckpointError(f"{of_epoch[0].name.file} cannot be used: {of_epoch[0].problem}.", hint=see)
    return found


def _copy(file: CheckpointFile, target: Path) -> None:
    """Copy under a temporary name, compare, rename.

    Raises:
        CheckpointError: the copy is not what the manifest says.
        _Replaced: the checkpoint is gone.
        OSError: the target cannot be written.
    """
    assert file.ref is not None
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if write_through(_chunks(file), temporary) != file.ref.sha256:
            raise CheckpointError(
                f"{file.name.file} is damaged: its SHA-256 is not the one in its manifest.",
                hint="Pull the one before it with --which and its epoch; `mnist-client checkpoints list --verify`.",
            )
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _chunks(file: CheckpointFile) -> Iterator[bytes]:
    with volume_errors(file.folder):
        try:
            source = file.path.open("rb")
        except FileNotFoundError as error:
            raise _Replaced from error
        with source:
            while chunk := source.read(CHUNK_BYTES):
                yield chunk


class _Replaced(Exception):
    """The run in training has removed the checkpoint since the folder was listed."""
