"""Where a run goes on: at its own checkpoint or its parent's; and from which it cannot."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.errors import CheckpointError, NotEnoughEpochs
from mnist_shared.training.data import Dataset
from mnist_shared.training.schedule import learning_rate


def test_a_child_run_goes_on_where_its_parent_stands(new_run: Any, config: TrainConfig, assert_same: Any) -> None:
    whole, parent, child = new_run(), new_run(), new_run()
    longer = config.model_copy(update={"epochs": 3})
    whole.execute(longer)
    parent.execute(config)
    before = {file: file.read_bytes() for file in parent.checkpoints.iterdir()}
    execution = child.execute(longer, parent=parent)
    assert_same(child, whole)
    # The parent's epochs are in the history, but not told again as this run's own.
    assert [event.metrics.epoch for event in execution.told("epoch")] == [3]
    assert execution.events[0].epoch == 2
    assert execution.result.seconds == execution.told("epoch")[0].metrics.seconds
    assert {file: file.read_bytes() for file in parent.checkpoints.iterdir()} == before


def test_a_child_of_a_run_stopped_within_an_epoch_goes_on_within_it(
    new_run: Any, config: TrainConfig, undisturbed: Any, stop_at: Any, assert_same: Any
) -> None:
    parent, child = new_run(), new_run()
    parent.execute(config, should_stop=stop_at(5))
    execution = child.execute(config, parent=parent)
    assert (execution.events[0].epoch, execution.events[0].batch) == (0, 5)
    assert_same(child, undisturbed[0])


def test_a_resumed_child_tells_its_own_epochs_again_and_not_its_parents(new_run: Any, config: TrainConfig) -> None:
    parent, child = new_run(), new_run()
    parent.execute(config.model_copy(update={"epochs": 1}))
    longer = config.model_copy(update={"epochs": 3})
    told: list[int] = []

    def stop_after_epoch_2() -> bool:
        return bool(told)

    child.execute(
        longer,
        parent=parent,
        should_stop=stop_after_epoch_2,
        on_event=lambda e: told.append(1) if e.type == "epoch" else None,
    )
    execution = child.execute(longer, parent=parent)
    assert execution.events[0].checkpoint.startswith("epoch-0002-batch-00000-a0001")
    assert [event.metrics.epoch for event in execution.told("epoch")] == [2, 3]


def test_a_child_with_more_epochs_goes_on_in_the_longer_cycle(new_run: Any, compact: TrainConfig) -> None:
    parent, child = new_run(), new_run()
    before = parent.execute(compact).told("epoch")[-1].metrics.lr
    longer = compact.model_copy(update={"epochs": 4})
    (third, fourth) = (event.metrics.lr for event in child.execute(longer, parent=parent).told("epoch"))
    assert fourth < before < third
    assert third == learning_rate(longer, step=3 * 8 - 1, num_batches=8)


def test_a_checkpoint_of_another_network_is_refused(new_run: Any, compact: TrainConfig, undisturbed: Any) -> None:
    with pytest.raises(CheckpointError, match="do not fit CompactNet"):
        new_run().execute(compact.model_copy(update={"epochs": 3}), parent=undisturbed[0])


def test_a_checkpoint_of_the_first_schema_is_read(
    run: Any, config: TrainConfig, undisturbed: Any, rewrite: Any, assert_same: Any
) -> None:
    def as_before(state: dict[str, Any]) -> None:
        state.update(schema_version=1, scheduler={"last_epoch": 1})
        del state["averaged"]

    run.execute(config.model_copy(update={"epochs": 1}))
    rewrite(run, as_before)
    run.execute(config)
    assert_same(run, undisturbed[0])


def test_a_child_may_change_the_learning_rate(new_run: Any, config: TrainConfig, undisturbed: Any) -> None:
    child = new_run()
    slower = config.model_copy(update={"epochs": 3, "lr": 0.0005, "gamma": 0.5})
    execution = child.execute(slower, parent=undisturbed[0])
    assert execution.told("epoch")[0].metrics.lr == pytest.approx(0.0005 * 0.5**2)
    assert child.newest()[1]["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.0005 * 0.5**2)


def test_a_total_that_the_parent_has_reached_is_refused(run: Any, config: TrainConfig, undisturbed: Any) -> None:
    with pytest.raises(NotEnoughEpochs, match="finished 2 epochs, and 2 in total") as caught:
        run.execute(config, parent=undisturbed[0])
    assert "--epochs 3" in caught.value.hint


def test_a_parent_without_a_checkpoint_is_refused(new_run: Any, config: TrainConfig) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        new_run().execute(config, parent=new_run())


def test_a_checkpoint_of_other_data_is_refused(run: Any, config: TrainConfig, small: Dataset, undisturbed: Any) -> None:
    other = dataclasses.replace(small, sha256="6" * 64)
    with pytest.raises(CheckpointError, match="other data"):
        run.execute(config.model_copy(update={"epochs": 3}), parent=undisturbed[0], data=other)


@pytest.mark.parametrize("change", [{"batch_size": 8}, {"seed": 9}, {"validation_size": 10}])
def test_an_epoch_that_was_begun_cannot_be_cut_anew(
    new_run: Any, config: TrainConfig, stop_at: Any, change: dict[str, Any]
) -> None:
    parent, child = new_run(), new_run()
    parent.execute(config, should_stop=stop_at(5))
    (name,) = change
    with pytest.raises(CheckpointError, match=f"--{name.replace('_', '-')}"):
        child.execute(config.model_copy(update=change), parent=parent)


def test_a_checkpoint_of_another_schema_is_refused(run: Any, config: TrainConfig, rewrite: Any) -> None:
    run.execute(config.model_copy(update={"epochs": 1}))
    rewrite(run, lambda state: state.update(schema_version=99))
    with pytest.raises(CheckpointError, match="schema version 99"):
        run.execute(config)


@pytest.mark.parametrize("key", ["model", "optimizer", "history", "partial", "config", "num_threads"])
def test_a_checkpoint_without_a_part_of_the_state_is_refused(
    run: Any, config: TrainConfig, rewrite: Any, key: str
) -> None:
    run.execute(config.model_copy(update={"epochs": 1}))
    rewrite(run, lambda state: state.pop(key))
    with pytest.raises(CheckpointError):
        run.execute(config)


@pytest.fixture
def rewrite() -> Callable[[Any, Callable[[dict[str, Any]], Any]], None]:
    """Saves a changed copy of a run's newest checkpoint, as a later attempt would."""
    from mnist_shared.training.checkpoints import CheckpointStore, serialized

    def change(run: Any, edit: Callable[[dict[str, Any]], Any]) -> None:
        ref, state = run.newest()
        edit(state)
        run.attempt += 1
        store = CheckpointStore(run.checkpoints, attempt=run.attempt, authorize=lambda: None, keep_last=2)
        store.save(serialized(state), epoch=ref.epoch, batch=ref.batch)

    return change
