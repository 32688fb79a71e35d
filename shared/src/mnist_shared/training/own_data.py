"""A user's own data set: IDX files as MNIST has them, or pictures in a folder a class. Checked before it is trained on.

FOLDER/train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-..., t10k-labels-...    (also with .gz)
FOLDER/train/CLASS/*.png, FOLDER/test/CLASS/*.png
FOLDER/CLASS/*.png                                      one in five of each class is a test picture
"""

import gzip
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mnist_shared.errors import DatasetError, MissingPart
from mnist_shared.training.idx import parse_idx
from mnist_shared.training.shape import NUM_CLASSES, SIDE

MAX_FILE_BYTES = 2 * 2**30
MAX_PIXELS = 25_000_000  # of a picture
TEST_SHARE = 5  # one picture in so many is a test picture, where the folder does not say
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_LAYOUTS = "IDX files named as MNIST's, or pictures in CLASS/ or train/CLASS/ and test/CLASS/"


class OwnData(NamedTuple):
    """What a folder holds: images uint8 [N, 28, 28], labels int64 [N], and the classes' names by label."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]


def load_own_data(folder: Path) -> OwnData:
    """The data set in `folder`, whose images may have any size when they are pictures, and 28 x 28 in IDX files.

    Raises:
        DatasetError: nothing is there, or something in it cannot be used; the message names the file.
        MissingPart: there are pictures, and Pillow is not installed.
    """
    if not folder.is_dir():
        raise DatasetError(f"There is no data set in {folder}.", hint=f"Put one there: {_LAYOUTS}.")
    try:
        if any((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in _IDX):
            return _from_idx(folder)
        return _from_pictures(folder)
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder} cannot be read ({error.strerror or error}).",
            hint="Check that the worker may read it.",
        ) from error


def _from_idx(folder: Path) -> OwnData:
    train_images, train_labels, test_images, test_labels = (_idx(folder, name) for name in _IDX)
    for part, images, labels in (("training", train_images, train_labels), ("test", test_images, test_labels)):
        if len(images) != len(labels):
            raise _wrong(folder, f"it has {len(images):,} {part} images and {len(labels):,} {part} labels")
        if len(images) == 0:
            raise _wrong(folder, f"it has no {part} images")
        if images.shape[1:] != (SIDE, SIDE):
            raise _wrong(folder, f"its {part} images have {images.shape[1]} x {images.shape[2]} pixels, not 28 x 28")
        if int(labels.max()) >= NUM_CLASSES:
            raise _wrong(folder, f"it has a label {int(labels.max())}; they go from 0 to {NUM_CLASSES - 1}")
    num_classes = max(int(train_labels.max()), int(test_labels.max())) + 1
    names = tuple(str(number) for number in range(num_classes))
    return OwnData(train_images, train_labels.long(), test_images, test_labels.long(), names)


def _idx(folder: Path, name: str) -> Tensor:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        if plain.stat().st_size > MAX_FILE_BYTES:
            raise _wrong(plain, "it is larger than 2 GiB")
        content = plain.read_bytes()
    elif packed.is_file():
        try:
            with gzip.open(packed) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _wrong(packed, f"it is no gzip file ({error})") from error
        if len(content) > MAX_FILE_BYTES:
            raise _wrong(packed, "it unpacks to more than 2 GiB")
    else:
        raise _wrong(folder, f"{name} is missing")
    try:
        return parse_idx(content, num_axes=3 if "images" in name else 1)
    except ValueError as error:
        raise _wrong(plain if plain.is_file() else packed, str(error)) from error


def _from_pictures(folder: Path) -> OwnData:
    train, test = folder / "train", folder / "test"
    if train.is_dir() and test.is_dir():
        classes = _classes(train)
        unknown = set(_classes(test)) - set(classes)
        if unknown:
            raise _wrong(test, f"it has classes that {train.name}/ does not have: {', '.join(sorted(unknown))}")
        train_files, test_files = _files(train, classes), _files(test, classes)
    else:
        classes = _classes(folder)
        train_files, test_files = [], []
        for files in _files(folder, classes):
            # Every fifth by name: the same pictures on every machine.
            test_files.append(files[TEST_SHARE - 1 :: TEST_SHARE])
            train_files.append([file for number, file in enumerate(files) if number % TEST_SHARE != TEST_SHARE - 1])
    for part, of_classes in (("training", train_files), ("test", test_files)):
        if not any(of_classes):
            raise _wrong(folder, f"it has no {part} pictures", hint=f"Five pictures a class at least. {_LAYOUTS}.")
    return OwnData(*_read_all(train_files), *_read_all(test_files), classes)


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and child.name[0] != "."))
    if not 2 <= len(classes) <= NUM_CLASSES:
        raise _wrong(
            folder,
            f"it has {len(classes)} folders of classes, and 2 to {NUM_CLASSES} can be told apart",
            hint=f"Lay it out as one of these: {_LAYOUTS}.",
        )
    return classes


def _files(folder: Path, classes: tuple[str, ...]) -> list[list[Path]]:
    """The pictures of each class, by name."""
    return [
        sorted(file for file in (folder / name).glob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        for name in classes
    ]


def _read_all(of_classes: list[list[Path]]) -> tuple[Tensor, Tensor]:
    images = [_picture(file) for files in of_classes for file in files]
    labels = [label for label, files in enumerate(of_classes) for _ in files]
    return torch.from_numpy(np.stack(images)), torch.tensor(labels, dtype=torch.int64)


def _picture(file: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One picture as grey levels, squeezed into 28 x 28; neither its polarity nor its place is changed."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingPart(
            "Pictures need Pillow, which is not installed.", hint="pip install 'mnist-shared[train]'"
        ) from error
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _wrong(file, f"{image.width} x {image.height} pixels are too many")
            grey = image.convert("L")
            if grey.size != (SIDE, SIDE):
                grey = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
            return np.asarray(grey, dtype=np.uint8)
    except UnidentifiedImageError:
        raise _wrong(file, "it is no picture") from None
    except (ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise _wrong(file, f"it is damaged ({error})") from error


def _wrong(place: Path, reason: str, *, hint: str = "Correct it, and submit again.") -> DatasetError:
    return DatasetError(f"The data set {place} cannot be used: {reason}.", hint=hint)
