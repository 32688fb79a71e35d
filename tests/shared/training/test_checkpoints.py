"""Checkpoints: committed whole or not at all, checked before use, and never in the way of what was there."""

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from mnist_shared.errors import LeaseLost, VolumeError
from mnist_shared.training.checkpoints import CheckpointStore, load_newest, save_model, serialized
from mnist_shared.training.model import ReferenceNet
from mnist_shared.volume.manifests import list_checkpoints


def nothing() -> None:
    """An `authorize` that agrees."""


def store(folder: Path, *, attempt: int = 1, keep_last: int = 3, authorize: Any = nothing) -> CheckpointStore:
    return CheckpointStore(folder, attempt=attempt, authorize=authorize, keep_last=keep_last)


def state(number: float) -> dict[str, Any]:
    return {"weights": torch.full((1000,), float(number)), "number": number}


def fail(file: str, reason: str) -> None:
    raise AssertionError(f"{file} was rejected: {reason}")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "0123456789ab" / "checkpoints"


def test_what_is_saved_comes_back(folder: Path) -> None:
    ref = store(folder, attempt=7).save(serialized(state(3)), epoch=3, batch=12)
    assert ref.file == "epoch-0003-batch-00012-a0007.pt"
    assert names(folder) == ["epoch-0003-batch-00012-a0007.json", "epoch-0003-batch-00012-a0007.pt"]
    assert (folder / ref.file).stat().st_size == ref.num_bytes
    found = load_newest(folder, on_rejected=fail)
    assert found is not None
    assert found[0] == ref
    assert torch.equal(found[1]["weights"], state(3)["weights"])


def test_a_memory_format_comes_back_too(folder: Path) -> None:
    weights = torch.rand(4, 3, 5, 5).to(memory_format=torch.channels_last)
    store(folder).save(serialized({"weights": weights}), epoch=1, batch=0)
    found = load_newest(folder, on_rejected=fail)
    assert found is not None
    assert found[1]["weights"].stride() == weights.stride()


def test_a_folder_that_is_not_there_has_no_checkpoint(folder: Path) -> None:
    assert load_newest(folder, on_rejected=fail) is None
    assert list_checkpoints(folder) == []


def test_a_later_attempt_comes_before_a_later_epoch(folder: Path) -> None:
    store(folder, attempt=1, keep_last=9).save(serialized(state(5)), epoch=5, batch=0)
    store(folder, attempt=2, keep_last=9).save(serialized(state(4)), epoch=4, batch=0)
    store(folder, attempt=2, keep_last=9).save(serialized(state(3)), epoch=3, batch=0)
    assert [(ref.attempt, ref.epoch) for ref in list_checkpoints(folder)] == [(2, 4), (2, 3), (1, 5)]
    assert load_newest(folder, on_rejected=fail)[1]["number"] == 4  # type: ignore[index]


@pytest.mark.parametrize("answers", [0, 1])
def test_a_lost_lease_leaves_nothing_of_the_new_and_all_of_the_old(folder: Path, answers: int) -> None:
    """`answers`: how often the lease is still held; a checkpoint is two files."""
    store(folder).save(serialized(state(1)), epoch=1, batch=0)
    before = names(folder)
    asked = []

    def authorize() -> None:
        asked.append(1)
        if len(asked) > answers:
            raise LeaseLost("Another execution owns the run.")

    with pytest.raises(LeaseLost):
        store(folder, authorize=authorize).save(serialized(state(2)), epoch=2, batch=0)
    assert names(folder) == before


def test_the_lease_is_asked_after_the_bytes_are_on_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), real_fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), real_replace(a, b))[1])
    store(folder, authorize=lambda: order.append("authorize")).save(serialized(state(1)), epoch=1, batch=0)
    assert order == ["fsync", "fsync", "authorize", "rename", "authorize", "rename", "fsync"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not be written"),
        (errno.EIO, "input/output"),
        (errno.ESTALE, "gone away"),
        (errno.ENXIO, "cannot be used: No such device"),
    ],
)
def test_a_fault_of_the_volume_is_one_clear_line_and_keeps_what_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    store(folder).save(serialized(state(1)), epoch=1, batch=0)
    before = names(folder)

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(VolumeError, match=words) as caught:
        store(folder).save(serialized(state(2)), epoch=2, batch=0)
    assert str(folder) in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    monkeypatch.undo()
    assert names(folder) == before
    assert load_newest(folder, on_rejected=fail)[1]["number"] == 1  # type: ignore[index]


def test_a_manifest_that_does_not_fit_any_more_takes_its_file_along(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(folder).save(serialized(state(1)), epoch=1, batch=0)
    before = names(folder)
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if str(target).endswith(".json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(VolumeError, match="full"):
        store(folder).save(serialized(state(2)), epoch=2, batch=0)
    assert names(folder) == before


@contextmanager
def small_files() -> Iterator[None]:
    """The kernel lets this process write no file of more than 2,000 bytes; its own report is one, so be quick."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_the_kernel_cuts_off_is_not_a_checkpoint(folder: Path) -> None:
    store(folder).save(serialized(state(1)), epoch=1, batch=0)
    before = names(folder)
    with pytest.raises(VolumeError, match="no file this large"), small_files():
        store(folder).save(serialized(state(2)), epoch=2, batch=0)
    assert names(folder) == before


@pytest.fixture
def tiny_volume(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_volume_that_is_really_full(tiny_volume: Path) -> None:
    folder = tiny_volume / "checkpoints"
    store(folder).save(serialized(state(1)), epoch=1, batch=0)
    before = names(folder)
    with pytest.raises(VolumeError, match="is full"):
        store(folder).save(serialized({"weights": torch.zeros(100_000)}), epoch=2, batch=0)
    assert names(folder) == before


def test_a_volume_that_is_really_read_only(tiny_volume: Path) -> None:
    folder = tiny_volume / "checkpoints"
    store(folder).save(serialized(state(1)), epoch=1, batch=0)
    subprocess.run(["mount", "-o", "remount,ro", tiny_volume], check=True)
    with pytest.raises(VolumeError, match="read-only"):
        store(folder).save(serialized(state(2)), epoch=2, batch=0)
    assert load_newest(folder, on_rejected=fail)[1]["number"] == 1  # type: ignore[index]


def test_a_volume_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "volume").write_text("a file")
    with pytest.raises(VolumeError, match="Not a directory"):
        store(tmp_path / "volume" / "checkpoints").save(serialized(state(1)), epoch=1, batch=0)
    with pytest.raises(VolumeError, match="Not a directory"):
        load_newest(tmp_path / "volume" / "checkpoints", on_rejected=fail)


def test_a_deletion_that_fails_does_not_end_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", unlink)
    for epoch in (1, 2, 3):
        ref = store(folder, keep_last=1).save(serialized(state(epoch)), epoch=epoch, batch=0)
    assert ref.epoch == 3
    assert len(list_checkpoints(folder)) == 3


def test_what_a_killed_attempt_left_half_written_is_swept_up_by_the_next(folder: Path) -> None:
    folder.mkdir(parents=True)
    half = folder / "epoch-0001-batch-00000-a0001.pt.a0001.tmp"
    unfinished = folder / "epoch-0001-batch-00000-a0001.pt"
    later = folder / "epoch-0009-batch-00000-a0003.pt.a0003.tmp"
    later_unfinished = folder / "epoch-0009-batch-00000-a0003.pt"
    foreign = folder / "notes.txt"
    for file in (half, unfinished, later, later_unfinished, foreign):
        file.write_text("x")
    assert load_newest(folder, on_rejected=fail) is None, "without a manifest there is no checkpoint"
    store(folder, attempt=2).save(serialized(state(2)), epoch=2, batch=0)
    assert not half.exists()
    assert not unfinished.exists()
    assert later.exists()
    assert later_unfinished.exists()
    assert foreign.exists()


def test_a_stale_attempt_does_not_remove_a_later_ones_checkpoints(folder: Path) -> None:
    store(folder, attempt=2, keep_last=1).save(serialized(state(1)), epoch=1, batch=0)
    store(folder, attempt=2, keep_last=9).save(serialized(state(2)), epoch=2, batch=0)
    store(folder, attempt=1, keep_last=1).save(serialized(state(9)), epoch=9, batch=0)
    assert {(ref.attempt, ref.epoch) for ref in list_checkpoints(folder)} >= {(2, 1), (2, 2)}


def test_a_checkpoint_replaced_while_it_is_read_is_no_damage(folder: Path) -> None:
    """Another run's folder, in training: what was listed may be gone by the time it is read."""
    store(folder, keep_last=1).save(serialized(state(1)), epoch=0, batch=10)
    real = Path.read_bytes
    replaced = []

    def read_bytes(path: Path) -> bytes:
        if not replaced:
            replaced.append(path)
            store(folder, keep_last=1).save(serialized(state(2)), epoch=0, batch=20)
        return real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_bytes)
        found = load_newest(folder, on_rejected=fail)
    assert found is not None
    assert found[1]["number"] == 2


def test_a_model_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mnist_cnn.pt"
    model = ReferenceNet()
    save_model(path, model, attempt=1, authorize=nothing)
    before = path.read_bytes()

    def lost() -> None:
        raise LeaseLost("Another execution owns the run.")

    with pytest.raises(LeaseLost):
        save_model(path, ReferenceNet(), attempt=2, authorize=lost)
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(VolumeError, match="full"):
        save_model(path, ReferenceNet(), attempt=2, authorize=nothing)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["mnist_cnn.pt"]
    assert list(torch.load(path, weights_only=True)) == list(model.state_dict())
