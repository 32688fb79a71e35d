"""A damaged checkpoint is passed over and named; code in one is never run."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.errors import CheckpointError
from mnist_shared.training.checkpoints import load_newest, serialized
from tests.shared.training.test_checkpoints import state, store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "0123456789ab" / "checkpoints"


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def break_the_manifest(file: Path) -> None:
    file.with_suffix(".json").write_text("{")


def swap_the_manifest(file: Path) -> None:
    other = file.with_name("epoch-0001-batch-00000-a0001.json")
    file.with_suffix(".json").write_bytes(other.read_bytes())


def point_outside(file: Path) -> None:
    manifest = file.with_suffix(".json")
    manifest.write_text(manifest.read_text().replace(file.name, "../" + file.name))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "bytes, not"),
        (empty, "it has 0 bytes"),
        (append, "bytes, not"),
        (flip_a_bit, "SHA-256"),
        (Path.unlink, "cannot be read"),
        (break_the_manifest, "not valid JSON"),
        (swap_the_manifest, "another checkpoint"),
        (point_outside, "file: String should match pattern"),
    ],
)
def test_a_damaged_newest_checkpoint_is_passed_over_and_said_so(
    folder: Path, damage: Callable[[Path], None], reason: str
) -> None:
    for epoch in (1, 2):
        newest = store(folder).save(serialized(state(epoch)), epoch=epoch, batch=0)
    damage(folder / newest.file)
    told: list[tuple[str, str]] = []
    found = load_newest(folder, on_rejected=lambda file, why: told.append((file, why)))
    assert found is not None
    assert found[1]["number"] == 1
    assert [file for file, _ in told] == [newest.file]
    assert reason in told[0][1]


def test_when_all_are_damaged_each_is_named_with_its_reason(folder: Path) -> None:
    refs = [store(folder).save(serialized(state(epoch)), epoch=epoch, batch=0) for epoch in (1, 2)]
    truncate(folder / refs[0].file)
    flip_a_bit(folder / refs[1].file)
    told: list[str] = []
    with pytest.raises(CheckpointError) as caught:
        load_newest(folder, on_rejected=lambda file, _: told.append(file))
    assert told == [refs[1].file, refs[0].file]
    assert all(ref.file in caught.value.message for ref in refs)
    assert "SHA-256" in caught.value.message
    assert "\n" not in str(caught.value)


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def forge(folder: Path, content: bytes) -> None:
    """A checkpoint whose manifest is in perfect order."""
    import hashlib

    folder.mkdir(parents=True)
    ref = CheckpointRef(
        file="epoch-0001-batch-00000-a0001.pt",
        epoch=1,
        batch=0,
        attempt=1,
        num_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    (folder / ref.file).write_bytes(content)
    (folder / "epoch-0001-batch-00000-a0001.json").write_text(ref.model_dump_json())


@pytest.mark.parametrize("through_torch", [True, False])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(folder: Path, tmp_path: Path, through_torch: bool) -> None:
    bomb = Bomb(tmp_path / "it ran")
    buffer = io.BytesIO()
    if through_torch:
        torch.save({"model": bomb}, buffer)
    else:
        pickle.dump({"model": bomb}, buffer, protocol=2)
    forge(folder, buffer.getvalue())
    with pytest.raises(CheckpointError, match="no checkpoint of tensors"):
        load_newest(folder, on_rejected=lambda file, reason: None)
    assert not bomb.path.exists()
    if through_torch:
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    else:
        pickle.loads(buffer.getvalue())
    assert bomb.path.exists(), "the bomb is a dud"


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" + b"\0" * 100])
def test_a_file_that_is_no_checkpoint_is_refused(folder: Path, content: bytes) -> None:
    forge(folder, content)
    with pytest.raises(CheckpointError):
        load_newest(folder, on_rejected=lambda file, reason: None)


def test_a_checkpoint_of_a_bare_list_is_refused(folder: Path) -> None:
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    forge(folder, buffer.getvalue())
    with pytest.raises(CheckpointError, match="a list"):
        load_newest(folder, on_rejected=lambda file, reason: None)
