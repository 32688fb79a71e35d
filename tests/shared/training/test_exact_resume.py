"""A run that is stopped or killed anywhere, and resumed, ends bit for bit as one that was left alone."""

import itertools
import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.training.checkpoints import CheckpointStore, serialized

# In each of the two epochs should_stop is asked before 9 batches and 3 chunks of the evaluation.
NUM_POINTS = 2 * (9 + 3)


class Killed(BaseException):
    """Stands for SIGKILL within a process: nothing of ours catches it."""


def asked(number: int, *, then: Callable[[], bool]) -> Callable[[], bool]:
    """A should_stop that says no `number` times, and then what `then` does."""
    count = itertools.count()
    return lambda: then() if next(count) >= number else False


def kill() -> bool:
    raise Killed


@pytest.mark.parametrize("point", range(NUM_POINTS))
def test_a_run_stopped_at_any_point_and_resumed_is_the_same(
    run: Any, config: TrainConfig, undisturbed: Any, assert_same: Any, point: int
) -> None:
    stopped = run.execute(config, should_stop=asked(point, then=lambda: True))
    assert stopped.result is None
    ref, _ = run.newest()
    epoch, place = divmod(point, 12)
    assert (ref.epoch, ref.batch) == (epoch, min(place, 9))
    torch.rand(3)
    execution = run.execute(config)
    assert (execution.events[0].epoch, execution.events[0].batch) == (ref.epoch, ref.batch)
    assert_same(run, undisturbed[0])
    assert execution.result.weights_sha256 == undisturbed[1].result.weights_sha256
    assert execution.result.test_loss == undisturbed[1].result.test_loss
    # Each finished epoch is told by the last attempt at the latest, in order.
    assert [event.metrics.epoch for event in execution.told("epoch")] == [1, 2]


@pytest.mark.parametrize("change", [{}, {"rotate": 10.0, "scale": 0.1, "shear": 5.0}], ids=["shifted", "turned"])
def test_a_compact_network_stopped_at_any_point_and_resumed_is_the_same(
    new_run: Any, compact: TrainConfig, assert_same: Any, change: dict[str, Any]
) -> None:
    config = compact.model_copy(update=change)
    undisturbed = new_run()
    expected = undisturbed.execute(config).result
    for point in (0, 1, 5, 8, 9, 13, 18, 19):  # of 2 epochs with 8 batches and 2 chunks of the evaluation each
        run = new_run()
        assert run.execute(config, should_stop=asked(point, then=lambda: True)).result is None
        torch.rand(3)
        execution = run.execute(config)
        assert_same(run, undisturbed)
        assert execution.result.weights_sha256 == expected.weights_sha256
        assert execution.result.test_loss == expected.test_loss


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_run_killed_every_few_batches_is_the_same(
    new_run: Any, config: TrainConfig, assert_same: Any, num_threads: int
) -> None:
    run, undisturbed = new_run(), new_run()
    expected = undisturbed.execute(config, num_threads=num_threads).result
    rolling = config.model_copy(update={"checkpoint_every_seconds": 5.0})
    for _attempt in range(30):
        clock = itertools.count().__next__  # a rolling checkpoint every other batch or so
        try:
            execution = run.execute(rolling, should_stop=asked(5, then=kill), clock=clock, num_threads=num_threads)
        except Killed:
            continue
        break
    else:
        pytest.fail("it never ended")
    assert run.attempt > 4
    assert_same(run, undisturbed)
    assert execution.result.weights_sha256 == expected.weights_sha256


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("when", ["epoch", "checkpoint_saved"])
def test_a_worker_killed_while_it_tells_of_an_epoch_loses_no_event(
    run: Any, config: TrainConfig, undisturbed: Any, assert_same: Any, epoch: int, when: str
) -> None:
    told: list[Any] = []

    def deliver(event: Any) -> None:
        if event.type == when and sum(before.type == when for before in told) == epoch - 1:
            raise Killed
        told.append(event)

    with pytest.raises(Killed):
        run.execute(config, on_event=deliver)
    execution = run.execute(config)
    arrived = [event.metrics.epoch for event in (*told, *execution.events) if event.type == "epoch"]
    assert list(dict.fromkeys(arrived)) == [1, 2]
    assert execution.result.weights_sha256 == undisturbed[1].result.weights_sha256
    assert_same(run, undisturbed[0])


def test_a_run_that_died_after_its_last_checkpoint_only_ends(run: Any, config: TrainConfig, undisturbed: Any) -> None:
    run.execute(config)
    (run.folder / "mnist_cnn.pt").unlink()
    execution = run.execute(config)
    assert execution.result.weights_sha256 == undisturbed[1].result.weights_sha256
    assert (run.folder / "mnist_cnn.pt").exists()
    assert execution.told("batch") == []
    assert execution.told("checkpoint_saved") == []


def test_moments_in_another_memory_layout_do_not_corrupt_the_resumed_run(
    run: Any, config: TrainConfig, undisturbed: Any, assert_same: Any
) -> None:
    run.execute(config, should_stop=asked(5, then=lambda: True))
    ref, state = run.newest()
    moments = [values[name] for values in state["optimizer"]["state"].values() for name in ("exp_avg", "exp_avg_sq")]
    assert any(not moment.is_contiguous() for moment in moments), "the trap is not set: all lie as they would anyway"
    for values in state["optimizer"]["state"].values():
        for name in ("exp_avg", "exp_avg_sq"):
            values[name] = values[name].contiguous()
    CheckpointStore(run.checkpoints, attempt=2, authorize=lambda: None, keep_last=2).save(
        serialized(state), epoch=0, batch=ref.batch
    )
    run.attempt = 2
    run.execute(config)
    assert_same(run, undisturbed[0])


def test_a_resumed_run_keeps_the_thread_count_it_began_with(run: Any, config: TrainConfig) -> None:
    one_thread = config.model_copy(update={"epochs": 1})
    run.execute(one_thread, num_threads=1, should_stop=asked(5, then=lambda: True))
    execution = run.execute(one_thread, num_threads=2)
    assert execution.events[0].num_threads == 1
    assert torch.get_num_threads() == 1
    assert execution.result.num_threads == 1


def test_a_run_that_may_not_resume_begins_again(run: Any, config: TrainConfig, undisturbed: Any) -> None:
    anew = config.model_copy(update={"resume": False})
    run.execute(anew, should_stop=asked(14, then=lambda: True))
    execution = run.execute(anew)
    assert (execution.events[0].epoch, execution.events[0].checkpoint) == (0, None)
    assert execution.result.weights_sha256 == undisturbed[1].result.weights_sha256
    assert {ref.attempt for ref in [run.newest()[0]]} == {2}


def test_a_damaged_newest_checkpoint_costs_work_but_not_the_result(
    run: Any, config: TrainConfig, undisturbed: Any, assert_same: Any
) -> None:
    run.execute(config, should_stop=asked(16, then=lambda: True))
    ref, _ = run.newest()
    file = run.checkpoints / ref.file
    file.write_bytes(file.read_bytes()[:-1000])
    execution = run.execute(config)
    (rejected,) = execution.told("checkpoint_rejected")
    assert execution.events.index(rejected) < execution.events.index(execution.told("training_started")[0])
    assert rejected.file == ref.file
    assert "bytes" in rejected.reason
    assert execution.told("training_started")[0].checkpoint == "epoch-0001-batch-00000-a0001.pt"
    assert_same(run, undisturbed[0])


def test_the_time_of_an_epoch_counts_the_batches_of_all_attempts(run: Any, config: TrainConfig) -> None:
    one = config.model_copy(update={"epochs": 1})
    run.execute(one, should_stop=asked(5, then=lambda: True), clock=itertools.count().__next__)
    _, state = run.newest()
    before = state["partial"]["seconds"]
    assert before > 0
    execution = run.execute(one, clock=itertools.count().__next__)
    assert execution.told("epoch")[0].metrics.seconds > before


def test_a_process_killed_with_sigkill_while_it_saves_is_resumed_exactly(
    run: Any, config: TrainConfig, undisturbed: Any, assert_same: Any, train_script: list[str]
) -> None:
    rolling = config.model_copy(update={"checkpoint_every_seconds": 0.001})  # it hardly does anything but save
    process = subprocess.Popen(
        [*train_script, rolling.model_dump_json(), str(run.folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = next(json.loads(line)["checkpoint"] for line in process.stdout if '"checkpoint_saved"' in line)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    run.attempt = 1
    execution = run.execute(config)
    assert execution.told("checkpoint_rejected") == []
    assert (execution.events[0].epoch, execution.events[0].batch) >= (told["epoch"], told["batch"])
    assert_same(run, undisturbed[0])
    assert [file.name for file in run.checkpoints.iterdir() if file.suffix == ".tmp"] == []
