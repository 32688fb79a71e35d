"""`--dataset`: a name that every worker knows, or a folder of the user's, which goes to the shared volume."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_client.completion import DATASETS

if TYPE_CHECKING:
    from mnist_client.context import CommandContext


def with_staged_dataset(context: "CommandContext", flags: Mapping[str, object]) -> dict[str, object]:
    """`flags`, where the data set is a folder, with its name on the volume instead. A human is told.

    Raises:
        DatasetError: the folder is not there, is empty or too large, or cannot be read.
        VolumeError: the storage folder cannot be written to.
    """
    dataset = flags.get("dataset")
    if not isinstance(dataset, str) or not is_folder(dataset):
        return dict(flags)
    from mnist_client.volume.sight import HOW_TO_SHARE, is_shared
    from mnist_shared.errors import DatasetError
    from mnist_shared.volume.own_datasets import own_dataset_folder, stage_dataset

    folder, storage_dir = Path(dataset).expanduser(), context.settings.storage_dir
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise DatasetError(
            f"--dataset: {dataset} {what}.",
            hint=f"Give the folder of the data set, or one of {', '.join(DATASETS)}.",
        )
    if is_shared(context) is False:
        context.output.warn(f"this client does not seem to share the workers' volume. {HOW_TO_SHARE}")
    name = stage_dataset(folder, storage_dir=storage_dir)
    context.output.talk(f"data set {dataset}: {name}, in {own_dataset_folder(storage_dir, name)}")
    return {**flags, "dataset": name}


def is_folder(dataset: str) -> bool:
    """Whether a user means a folder by it."""
    from mnist_shared.contracts.config import is_dataset_name

    if not dataset or is_dataset_name(dataset):
        return False
    separators = {"/", os.sep, os.altsep or os.sep}
    return any(separator in dataset for separator in separators) or dataset in (".", "..") or Path(dataset).is_dir()
