"""A user's model file on its way to the volume, and what a worker takes from there."""

import hashlib
import os
from pathlib import Path

import pytest

from mnist_shared.contracts.requests import ModelFile
from mnist_shared.errors import InvalidInput, VolumeError
from mnist_shared.volume import own_models
from mnist_shared.volume.files import CHUNK_BYTES
from mnist_shared.volume.own_models import own_model_path, read_model, stage_model, was_exported
from mnist_shared.volume.run_folder import RunFolder


def a_file(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_it_is_copied_once_under_the_digest_of_what_is_in_it(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    file = stage_model(a_file(tmp_path / "my best (1).ONNX"), storage_dir=storage)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert file == ModelFile(name=f"my-best-1-{sha256[:12]}.onnx", sha256=sha256)
    assert read_model(storage, file) == b"weights"

    written = own_model_path(storage, file.name).stat().st_mtime_ns
    assert stage_model(a_file(tmp_path / "elsewhere" / "my best (1).onnx"), storage_dir=storage) == file
    assert own_model_path(storage, file.name).stat().st_mtime_ns == written
    other = stage_model(a_file(tmp_path / "my best (1).onnx", b"others"), storage_dir=storage)
    assert {path.name for path in (storage / "own-models").iterdir()} == {file.name, other.name}


def test_a_name_of_nothing_that_is_allowed_becomes_one_that_is(tmp_path: Path) -> None:
    assert stage_model(a_file(tmp_path / "ä.pt"), storage_dir=tmp_path).name.startswith("model-")
    assert len(stage_model(a_file(tmp_path / f"{'x' * 200}.pt"), storage_dir=tmp_path).name) == 63 + 1 + 12 + 3


def hostile_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """What each is, where it lies, and what is said of it."""
    folder.mkdir()
    (folder / "folder.pt").mkdir()
    (folder / "loop.pt").symlink_to(folder / "loop.pt")
    (folder / "dangling.pt").symlink_to(folder / "nowhere.pt")
    os.mkfifo(folder / "pipe.pt")
    with (folder / "huge.pt").open("wb") as file:
        file.truncate(own_models.MAX_BYTES + 1)
    return {
        "a folder": (folder / "folder.pt", "is a folder"),
        "a symlink to itself": (folder / "loop.pt", "cannot be read"),
        "a symlink to nothing": (folder / "dangling.pt", "does not exist"),
        "a pipe, at which one would wait for ever": (folder / "pipe.pt", "is no file"),
        "a device without end": (Path("/dev/zero"), "is no file"),
        "more than is taken": (folder / "huge.pt", "is larger than a model file may be (512 MiB)"),
        "nothing": (a_file(folder / "empty.pt", b""), "is empty"),
        "a text": (a_file(folder / "model.txt"), "none of the suffixes"),
        "a name without a suffix": (a_file(folder / "model"), "none of the suffixes"),
        "a name with a null byte": (folder / "a\0.pt", "cannot be read"),
        "a name that is too long": (folder / f"{'x' * 300}.pt", "cannot be read"),
    }


def test_what_is_no_model_file_is_a_clear_error_and_leaves_nothing_on_the_volume(tmp_path: Path) -> None:
    for what, (path, says) in hostile_files(tmp_path / "files").items():
        with pytest.raises(InvalidInput) as caught:
            stage_model(path, storage_dir=tmp_path / "storage")
        assert says in caught.value.message, what
        assert caught.value.hint, what
    assert not (tmp_path / "storage").exists()


def test_a_file_that_grows_while_it_is_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_models, "MAX_BYTES", 2 * CHUNK_BYTES)
    source = a_file(tmp_path / "model.pt", bytes(CHUNK_BYTES))
    with source.open("rb") as stream:
        chunks = own_models._chunks(stream, source)
        next(chunks)
        with source.open("ab") as writer:
            writer.write(bytes(2 * CHUNK_BYTES))
        with pytest.raises(InvalidInput, match="grows while it is read"):
            list(chunks)


def test_nothing_half_copied_is_left_where_the_volume_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("a file")
    with pytest.raises(VolumeError):
        stage_model(a_file(tmp_path / "model.pt"), storage_dir=tmp_path / "storage")


@pytest.mark.parametrize(
    "name",
    ["../x-0123456789ab.pt", "/etc/passwd", "x-0123456789ab.sh", "x-0123456789ab.pt/..", "x-0123456789AB.pt"],
)
def test_only_names_that_were_given_here_become_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        own_model_path(tmp_path, name)


def test_a_worker_takes_only_what_the_user_gave(tmp_path: Path) -> None:
    file = stage_model(a_file(tmp_path / "model.pt"), storage_dir=tmp_path)
    path = own_model_path(tmp_path, file.name)
    path.write_bytes(b"changed")
    with pytest.raises(InvalidInput, match="not the one that was given"):
        read_model(tmp_path, file)
    path.unlink()
    with pytest.raises(VolumeError, match="is not in"):
        read_model(tmp_path, file)
    os.mkfifo(path)
    with pytest.raises(VolumeError, match="is not in"):
        read_model(tmp_path, file)


def test_a_program_is_ours_when_the_same_bytes_lie_among_the_exports_whatever_a_card_says(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert not was_exported(runs, b"program")
    ours = RunFolder(runs, "0123456789ab")
    a_file(ours.torchscript, b"Program")
    a_file(ours.export / "MODEL_CARD.md", hashlib.sha256(b"program").hexdigest().encode())
    a_file(runs / "no-run" / "export" / "mnist_cnn.torchscript", b"program")
    assert not was_exported(runs, b"program")
    assert was_exported(runs, b"Program")
