"""A user's data set on its way to the volume."""

import os
from pathlib import Path

import pytest

from mnist_shared.errors import DatasetError, InvalidInput, VolumeError
from mnist_shared.volume.own_datasets import own_dataset_folder, stage_dataset


def a_set(folder: Path, *, content: bytes = b"one") -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(content + name.encode())
    (folder / ".DS_Store").write_bytes(b"noise")
    return folder


def test_it_is_copied_once_under_the_digest_of_its_files(tmp_path):
    name = stage_dataset(a_set(tmp_path / "my pets"), storage_dir=tmp_path / "storage")
    folder = own_dataset_folder(tmp_path / "storage", name)
    assert name.startswith("own/my-pets-")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == ["cat/1.png", "dog/1.png"]
    assert not (folder / ".DS_Store").exists()

    written = (folder / "cat" / "1.png").stat().st_mtime_ns
    again = stage_dataset(a_set(tmp_path / "elsewhere" / "my pets"), storage_dir=tmp_path / "storage")
    assert again == name
    assert (folder / "cat" / "1.png").stat().st_mtime_ns == written


def test_other_content_is_another_data_set(tmp_path):
    first = stage_dataset(a_set(tmp_path / "a" / "pets"), storage_dir=tmp_path / "storage")
    second = stage_dataset(a_set(tmp_path / "b" / "pets", content=b"two"), storage_dir=tmp_path / "storage")
    assert first != second
    assert len(list((tmp_path / "storage" / "own-datasets").iterdir())) == 2


def test_nothing_half_copied_is_left_where_the_volume_cannot_be_written(tmp_path):
    (tmp_path / "storage").write_text("a file")
    with pytest.raises(VolumeError):
        stage_dataset(a_set(tmp_path / "pets"), storage_dir=tmp_path / "storage")


def test_an_empty_or_missing_folder_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(DatasetError):
            stage_dataset(tmp_path / name, storage_dir=tmp_path / "storage")


def test_what_is_no_file_is_left_out(tmp_path):
    folder = a_set(tmp_path / "pets")
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "cat" / "gone.png").symlink_to(tmp_path / "nowhere")
    name = stage_dataset(folder, storage_dir=tmp_path / "storage")
    assert len(list(own_dataset_folder(tmp_path / "storage", name).rglob("*.png"))) == 2


@pytest.mark.parametrize("name", ["own/../../etc", "own/a", "/etc", "own/a-0123456789ab/..", "own/-0123456789ab"])
def test_only_names_that_were_given_here_become_paths(tmp_path, name):
    with pytest.raises(InvalidInput):
        own_dataset_folder(tmp_path, name)
