"""Checkpoints are written beside the loop: it goes on meanwhile, hears of every failure, and leaves nothing behind."""

import errno
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import RunEvent
from mnist_shared.errors import LeaseLost, TrainingDiverged, VolumeError
from mnist_shared.volume.manifests import list_checkpoints


class Killed(BaseException):
    """Stands for SIGKILL within a process: nothing of ours catches it."""


class Writer:
    """An `authorize` in whose hands the writing thread waits, until the loop has come `batches` further."""

    def __init__(self, *, batches: int = 3) -> None:
        self.is_writing = threading.Event()
        self._go_on = threading.Event()
        self._batches = batches
        self.batches_meanwhile = 0

    def authorize(self) -> None:
        self.is_writing.set()
        assert self._go_on.wait(20), "the loop waits for the writer"

    def should_stop(self) -> bool:
        """Asked by the loop before every batch. Once the thread stands, the loop gives it the time to begin."""
        if writers():
            assert self.is_writing.wait(20), "the writer does not begin"
        if self.is_writing.is_set() and not self._go_on.is_set():
            self.batches_meanwhile += 1
            if self.batches_meanwhile >= self._batches:
                self._go_on.set()
        return False


def ticks() -> Callable[[], float]:
    return itertools.count().__next__


def writers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("checkpoint")]


@pytest.fixture
def rolling(config: TrainConfig) -> TrainConfig:
    """A checkpoint every other batch, by the clock of `ticks`."""
    return config.model_copy(update={"checkpoint_every_seconds": 4.0})


@pytest.fixture
def long(rolling: TrainConfig) -> TrainConfig:
    return rolling.model_copy(update={"epochs": 50})


def test_the_loop_goes_on_while_a_checkpoint_is_written(run: Any, long: TrainConfig) -> None:
    writer = Writer()
    run.execute(
        long,
        authorize=writer.authorize,
        should_stop=lambda: writer.should_stop() or writer.batches_meanwhile >= 3,
        clock=ticks(),
    )
    assert writer.batches_meanwhile >= 3


def test_what_is_written_is_the_state_at_that_batch_and_not_a_later_one(
    run: Any, rolling: TrainConfig, undisturbed: Any, assert_same: Any
) -> None:
    writer = Writer()

    def should_stop() -> bool:
        writer.should_stop()
        if writer.batches_meanwhile >= 3:
            raise Killed
        return False

    with pytest.raises(Killed):
        run.execute(rolling, authorize=writer.authorize, should_stop=should_stop, clock=ticks())
    (ref,) = list_checkpoints(run.checkpoints)
    assert (ref.epoch, ref.batch) < (0, 5)
    run.execute(rolling.model_copy(update={"checkpoint_every_seconds": 0.0}))
    assert_same(run, undisturbed[0])


def test_nothing_is_told_before_it_is_on_the_disk(run: Any, rolling: TrainConfig) -> None:
    def look(event: RunEvent) -> None:
        if event.type == "checkpoint_saved":
            assert event.checkpoint in list_checkpoints(run.checkpoints)
            assert threading.current_thread() is threading.main_thread(), "events come from the loop"

    execution = run.execute(rolling, on_event=look, clock=ticks())
    told = [(event.checkpoint.epoch, event.checkpoint.batch) for event in execution.told("checkpoint_saved")]
    assert told == sorted(set(told))
    assert {(1, 0), (2, 0)} < set(told)


def test_rolling_checkpoints_of_an_epoch_are_told_before_its_end(run: Any, rolling: TrainConfig) -> None:
    execution = run.execute(rolling, clock=ticks())
    finished = 0
    for event in execution.events:
        if event.type == "epoch":
            finished = event.metrics.epoch
        elif event.type == "checkpoint_saved":
            assert event.checkpoint.epoch == finished


def test_a_stopped_run_returns_with_its_last_checkpoint_on_the_disk(run: Any, rolling: TrainConfig) -> None:
    asked = itertools.count()
    execution = run.execute(rolling, should_stop=lambda: next(asked) >= 5, clock=ticks())
    ref, _ = run.newest()
    assert (ref.epoch, ref.batch) == (0, 5)
    assert execution.events[-1].checkpoint == ref
    assert writers() == []


def test_a_disk_that_fills_up_ends_the_run_with_the_volumes_error(
    run: Any, rolling: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told: list[RunEvent] = []
    with pytest.raises(VolumeError, match="is full"):
        run.execute(rolling, on_event=told.append, clock=ticks())
    assert [event for event in told if event.type in ("checkpoint_saved", "epoch")] == []
    assert files(run) == []
    assert writers() == []


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
def test_a_lease_lost_while_it_writes_ends_the_run(run: Any, rolling: TrainConfig, answers: int) -> None:
    """`answers`: how often the lease is still held; a checkpoint is two files."""
    asked = itertools.count()

    def authorize() -> None:
        if next(asked) >= answers:
            raise LeaseLost("Another execution owns the run.")

    told: list[RunEvent] = []
    with pytest.raises(LeaseLost):
        run.execute(rolling, authorize=authorize, on_event=told.append, clock=ticks())
    assert len([event for event in told if event.type == "checkpoint_saved"]) == answers // 2
    assert len(list_checkpoints(run.checkpoints)) == answers // 2
    assert [name for name in files(run) if name.endswith(".tmp")] == []
    assert writers() == []


def test_an_error_of_the_loop_waits_for_the_checkpoint_and_tells_of_it(run: Any, long: TrainConfig) -> None:
    writer = Writer()

    def should_stop() -> bool:
        writer.should_stop()
        if writer.batches_meanwhile >= 3:
            raise TrainingDiverged("The loss is nan.")
        return False

    told: list[RunEvent] = []
    with pytest.raises(TrainingDiverged):
        run.execute(long, authorize=writer.authorize, should_stop=should_stop, on_event=told.append, clock=ticks())
    (ref,) = list_checkpoints(run.checkpoints)
    assert told[-1].type == "checkpoint_saved"
    assert told[-1].checkpoint == ref
    assert writers() == []


def test_an_error_of_the_loop_counts_more_than_that_of_the_writer(run: Any, long: TrainConfig) -> None:
    writer = Writer()

    def authorize() -> None:
        writer.authorize()
        raise VolumeError("The folder is full.")

    def should_stop() -> bool:
        writer.should_stop()
        if writer.batches_meanwhile >= 3:
            raise LeaseLost("Another execution owns the run.")
        return False

    with pytest.raises(LeaseLost):
        run.execute(long, authorize=authorize, should_stop=should_stop, clock=ticks())
    assert list_checkpoints(run.checkpoints) == []
    assert writers() == []


def test_the_last_checkpoint_stands_before_the_model_is_written(run: Any, config: TrainConfig) -> None:
    seen: list[list[str]] = []
    run.execute(config, authorize=lambda: seen.append(files(run)))
    last = seen[-1]
    assert {"epoch-0002-batch-00000-a0001.json", "epoch-0002-batch-00000-a0001.pt"} <= set(last)
    assert "mnist_cnn.pt" not in last


def test_a_run_that_keeps_nothing_writes_nothing(run: Any, rolling: TrainConfig) -> None:
    run.execute(rolling.model_copy(update={"save_model": False}), clock=ticks())
    assert files(run) == []


def files(run: Any) -> list[str]:
    folder: Path = run.folder
    return sorted(file.name for file in folder.rglob("*") if file.is_file())
