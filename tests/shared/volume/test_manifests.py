"""Names and retention, without a file."""

import pytest

from mnist_shared.volume.manifests import CheckpointName, expendable, parse_name


def at(epoch: int, batch: int = 0, *, attempt: int = 1, best: bool = False) -> CheckpointName:
    return CheckpointName(attempt=attempt, epoch=epoch, batch=batch, best=best)


def kept(*names: CheckpointName, keep_last: int) -> set[CheckpointName]:
    ordered = sorted(names, reverse=True)
    return set(ordered) - set(expendable(ordered, keep_last=keep_last))


@pytest.mark.parametrize("name", [at(3), at(0, 12, attempt=7), at(12345, 123456, attempt=98765), at(3, best=True)])
def test_a_name_tells_what_it_was_made_from(name: CheckpointName) -> None:
    assert parse_name(name.file) == name
    assert parse_name(name.manifest) == name


@pytest.mark.parametrize(
    "file",
    [
        "model.pt",
        "epoch-0001-batch-00000-a0001",
        "epoch-0001-batch-00000-a0001.pt.a0001.tmp",
        "epoch-00001-batch-00000-a0001.pt",
        "../epoch-0001-batch-00000-a0001.pt",
        "epoch-0001-batch-00000-a0001-best-best.pt",
        "epoch-\u0660\u0660\u0660\u0661-batch-00000-a0001.pt",
        "",
    ],
)
def test_other_names_are_not_checkpoints(file: str) -> None:
    assert parse_name(file) is None


def test_the_last_so_many_between_two_epochs_are_kept() -> None:
    assert kept(at(1), at(2), at(3), at(4), keep_last=2) == {at(3), at(4)}


def test_one_within_an_epoch_is_replaced_by_the_next() -> None:
    assert kept(at(1), at(2), at(2, 100), at(2, 200), keep_last=2) == {at(1), at(2), at(2, 200)}
    assert kept(at(1), at(2), at(2, 200), at(3), keep_last=2) == {at(2), at(3)}


def test_before_the_first_epoch_has_ended_there_is_one_to_fall_back_to() -> None:
    assert kept(at(0, 100), at(0, 200), at(0, 300), keep_last=2) == {at(0, 200), at(0, 300)}
    assert kept(at(0, 100), at(0, 200), at(0, 300), keep_last=1) == {at(0, 300)}


def test_the_best_is_never_removed() -> None:
    names = (at(1, best=True), at(2, best=True), at(3), at(4), at(5))
    assert kept(*names, keep_last=1) == {at(2, best=True), at(5)}


def test_the_newest_is_of_the_latest_attempt() -> None:
    assert kept(at(9), at(2, attempt=2), keep_last=1) == {at(2, attempt=2)}
