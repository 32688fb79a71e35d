"""A user's own data set: what is accepted, and what is said of what is not."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnist_shared.errors import DatasetError
from mnist_shared.training.own_data import load_own_data

RANDOM = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def idx_folder(folder: Path, **changes: bytes) -> Path:
    files = {
        "train_images_idx3_ubyte": idx(RANDOM.integers(0, 256, (6, 28, 28))),
        "train_labels_idx1_ubyte": idx(np.arange(6) % 4),
        "t10k_images_idx3_ubyte": idx(RANDOM.integers(0, 256, (3, 28, 28))),
        "t10k_labels_idx1_ubyte": idx(np.arange(3)),
    } | changes
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", "-")).write_bytes(content)
    return folder


def pictures(folder: Path, *, count: int, size: tuple[int, int] = (28, 28), mode: str = "L") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new(mode, size, 10 * number if mode == "L" else (number, 0, 0)).save(folder / f"{number:03}.png")


def test_idx_files_named_as_mnists_are_read(tmp_path):
    data = load_own_data(idx_folder(tmp_path / "set"))
    assert data.train_images.shape == (6, 28, 28)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.tolist() == [0, 1, 2, 3, 0, 1]
    assert data.test_labels.dtype == torch.int64
    assert data.classes == ("0", "1", "2", "3")


def test_idx_files_may_be_packed(tmp_path):
    folder = idx_folder(tmp_path / "set")
    plain = load_own_data(folder)
    for file in list(folder.iterdir()):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert torch.equal(load_own_data(folder).train_images, plain.train_images)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_labels_idx1_ubyte": idx(np.arange(5))}, "6 training images and 5 training labels"),
        ({"train_images_idx3_ubyte": idx(np.zeros((6, 32, 32)))}, "32 x 32 pixels, not 28 x 28"),
        ({"t10k_labels_idx1_ubyte": idx(np.array([0, 1, 10]))}, "a label 10"),
        ({"t10k_images_idx3_ubyte": b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28)}, "its header promises"),
        ({"train_images_idx3_ubyte": b"\x89PNG\r\n\x1a\n" + bytes(20)}, "it begins with 0x89504e47"),
        ({"train_images_idx3_ubyte": b""}, "less than its header"),
    ],
)
def test_an_idx_file_that_does_not_fit_is_named_with_the_reason(tmp_path, changes, words):
    folder = idx_folder(tmp_path / "set", **changes)
    with pytest.raises(DatasetError, match=words) as caught:
        load_own_data(folder)
    assert str(folder) in caught.value.message


def test_a_missing_idx_file_is_named(tmp_path):
    folder = idx_folder(tmp_path / "set")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetError, match="t10k-labels-idx1-ubyte is missing"):
        load_own_data(folder)


def test_what_is_packed_and_cut_short_is_an_error(tmp_path):
    folder = idx_folder(tmp_path / "set")
    file = folder / "train-images-idx3-ubyte"
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes())[:-20])
    file.unlink()
    with pytest.raises(DatasetError, match="no gzip file"):
        load_own_data(folder)


def test_pictures_of_any_size_and_colour_are_read_from_a_folder_a_class(tmp_path):
    pictures(tmp_path / "set" / "train" / "cat", count=3, size=(60, 40), mode="RGB")
    pictures(tmp_path / "set" / "train" / "dog", count=2)
    pictures(tmp_path / "set" / "test" / "dog", count=1)
    (tmp_path / "set" / "test" / "cat").mkdir()
    data = load_own_data(tmp_path / "set")
    assert data.classes == ("cat", "dog")
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1]
    assert data.train_images.shape == (5, 28, 28)
    assert data.train_images[4].unique().tolist() == [10]
    assert data.test_labels.tolist() == [1]


def test_without_a_test_folder_every_fifth_picture_of_a_class_is_held_back(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / "set" / name, count=10)
    data = load_own_data(tmp_path / "set")
    assert (len(data.train_labels), len(data.test_labels)) == (16, 4)
    assert [int(image[0, 0]) for image in data.test_images] == [40, 90, 40, 90]


def test_too_few_pictures_leave_nothing_to_test_on(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / "set" / name, count=4)
    with pytest.raises(DatasetError, match="no test pictures"):
        load_own_data(tmp_path / "set")


@pytest.mark.parametrize("names", [(), ("one",), tuple(f"class-{n}" for n in range(11))])
def test_the_network_tells_two_to_ten_classes_apart(tmp_path, names):
    (tmp_path / "set").mkdir()
    for name in names:
        (tmp_path / "set" / name).mkdir()
    with pytest.raises(DatasetError, match=f"{len(names)} folders of classes"):
        load_own_data(tmp_path / "set")


def test_a_test_class_that_is_not_trained_on_is_an_error(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / "set" / "train" / name, count=2)
    pictures(tmp_path / "set" / "test" / "c", count=2)
    pictures(tmp_path / "set" / "test" / "a", count=2)
    with pytest.raises(DatasetError, match="classes that train/ does not have: c"):
        load_own_data(tmp_path / "set")


def test_a_file_that_is_no_picture_is_named(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / "set" / name, count=5)
    (tmp_path / "set" / "a" / "zz.png").write_bytes(b"hello")
    with pytest.raises(DatasetError, match=r"zz\.png.*no picture"):
        load_own_data(tmp_path / "set")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="There is no data set in"):
        load_own_data(tmp_path / "nowhere")
