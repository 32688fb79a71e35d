"""The data sets: checked, held whole in memory as bytes, and kept there between the runs of a warm worker."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mnist_shared.contracts.config import DATASET_NAMES
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.errors import DatasetError, InvalidInput
from mnist_shared.training.digests import tensor_bytes
from mnist_shared.training.digits import load_digits
from mnist_shared.training.download import download
from mnist_shared.training.idx import parse_idx
from mnist_shared.training.own_data import load_own_data
from mnist_shared.training.shape import NUM_CLASSES, SIDE
from mnist_shared.volume.own_datasets import own_dataset_folder

NUM_CACHED = 2  # MNIST takes 55 MB
DIGITS = tuple(str(number) for number in range(NUM_CLASSES))
HELP_OFFLINE = "Set MNIST_DATA_DIR to a folder that holds it, or train on --dataset digits."


@dataclass(frozen=True)
class Dataset:
    """A training and a test set of 28 x 28 grey images in 10 classes, on the CPU. Shared, so not to be written to."""

    name: str
    train_images: Tensor  # uint8 [N, 28, 28]
    train_labels: Tensor  # int64 [N]
    test_images: Tensor
    test_labels: Tensor
    mean: float  # of the training pixels, on a scale of 0 to 1
    std: float
    sha256: str  # of the four tensors' bytes, in the order above
    classes: tuple[str, ...] = DIGITS  # their names by label

    @property
    def normalisation(self) -> Normalisation:
        """That of a network which is trained on it."""
        return Normalisation(mean=self.mean, std=self.std, dataset=self.name)


class Facts(NamedTuple):
    """What is known of a data set without a look at its images."""

    mean: float  # of the training pixels, on a scale of 0 to 1
    std: float
    classes: tuple[str, ...] = DIGITS


# Mean and standard deviation: for MNIST those of the reference script, pytorch/examples mnist/main.py; for the next two
# the figures in common use for the training pixels (not checked here: neither set is at hand); for digits its own, from
# `digits.load_digits`, written down so that no rounding differs between two machines.
FACTS = {
    "mnist": Facts(mean=0.1307, std=0.3081),
    "fashion-mnist": Facts(
        mean=0.2860,
        std=0.3530,
        classes=("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
    ),
    "kmnist": Facts(mean=0.1918, std=0.3483, classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
    "digits": Facts(mean=0.3056, std=0.3249),
}


@dataclass(frozen=True)
class _Source:
    """A set that torchvision knows: its class, and the published MD5 of each raw file, if any."""

    torchvision_name: str
    md5: tuple[str, ...] = ()


# Raw files, their numbers of axes, and how many images each has; the same for all three.
_FILES = (
    ("train-images-idx3-ubyte", 3, 60_000),
    ("train-labels-idx1-ubyte", 1, 60_000),
    ("t10k-images-idx3-ubyte", 3, 10_000),
    ("t10k-labels-idx1-ubyte", 1, 10_000),
)
_SOURCES = {
    "mnist": _Source(
        "MNIST",
        md5=(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    "fashion-mnist": _Source("FashionMNIST"),
    "kmnist": _Source("KMNIST"),
}


def load_dataset(name: str, *, folder: Path, storage_dir: Path | None = None) -> Dataset:
    """The data set `name`, from `folder` (laid out as torchvision does: MNIST/raw/train-images-idx3-ubyte ...).

    Missing files are downloaded into it first. Where all are there, it may be read-only. `digits` needs no folder. A
    user's own (`own/...`) lies on the shared volume, `storage_dir`.

    Raises:
        InvalidInput: there is no data set of that name.
        DatasetError: a file is damaged, or missing and cannot be downloaded; the message names it.
        MissingPart: scikit-learn or torchvision is needed and not installed.
    """
    if name.startswith("own/") and storage_dir is not None:
        return _load_own(name, own_dataset_folder(storage_dir, name))
    if name not in DATASET_NAMES:
        raise InvalidInput(f"There is no data set {name!r}.", hint=f"There are {', '.join(DATASET_NAMES)}.")
    return _load_digits() if name == "digits" else _load_raw(name, folder.expanduser().absolute())


@lru_cache(maxsize=NUM_CACHED)
def _load_raw(name: str, folder: Path) -> Dataset:
    source = _SOURCES[name]
    raw = folder / source.torchvision_name / "raw"
    names = tuple(file for file, _, _ in _FILES)
    if not all((raw / file).is_file() for file in names):
        download(source.torchvision_name, folder=folder, files=names, hint=HELP_OFFLINE)
    found = []
    for number, (file, num_axes, count) in enumerate(_FILES):
        md5 = source.md5[number] if source.md5 else None
        found.append(_read(raw / file, num_axes=num_axes, count=count, md5=md5))
    train_images, train_labels, test_images, test_labels = found
    tensors = (train_images, train_labels.long(), test_images, test_labels.long())
    return _dataset(name, tensors, FACTS[name])


@lru_cache(maxsize=1)
def _load_digits() -> Dataset:
    return _dataset("digits", load_digits(), FACTS["digits"])


@lru_cache(maxsize=NUM_CACHED)
def _load_own(name: str, folder: Path) -> Dataset:
    found = load_own_data(folder)
    # By how often each grey level occurs, in integers: the same figures on every machine.
    levels = torch.bincount(found.train_images.flatten(), minlength=256).tolist()
    count = sum(levels)
    mean = sum(level * number for level, number in enumerate(levels)) / count
    std = math.sqrt(sum(number * (level - mean) ** 2 for level, number in enumerate(levels)) / count)
    if std == 0:
        raise DatasetError(f"The data set {name} cannot be used: all its pixels are equal.", hint="Give another.")
    tensors = (found.train_images, found.train_labels, found.test_images, found.test_labels)
    return _dataset(name, tensors, Facts(mean / 255, std / 255, found.classes))


def _read(file: Path, *, num_axes: int, count: int, md5: str | None) -> Tensor:
    """One raw file's tensor. The structure is looked at before the MD5: it tells more about what is wrong."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DatasetError(f"{file} cannot be read ({error.strerror}).", hint=HELP_OFFLINE) from error
    try:
        tensor = parse_idx(content, num_axes=num_axes)
    except ValueError as error:
        raise _damaged(file, str(error)) from error
    expected = (count, SIDE, SIDE) if num_axes == 3 else (count,)
    if tensor.shape != expected:
        raise _damaged(file, f"its shape is {tuple(tensor.shape)}, not {expected}")
    if num_axes == 1 and int(tensor.max()) >= NUM_CLASSES:
        raise _damaged(file, f"it has a label {int(tensor.max())}; they go from 0 to {NUM_CLASSES - 1}")
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise _damaged(file, "its MD5 is not the published one")
    return tensor


def _damaged(file: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"The data file {file} is damaged: {reason}.",
        hint="Delete it and try again, set MNIST_DATA_DIR to a folder with a good one, or train on --dataset digits.",
    )


def _dataset(name: str, tensors: tuple[Tensor, Tensor, Tensor, Tensor], facts: Facts) -> Dataset:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor_bytes(tensor))
    return Dataset(name, *tensors, mean=facts.mean, std=facts.std, sha256=digest.hexdigest(), classes=facts.classes)
