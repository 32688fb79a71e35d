"""The training loop: what it tells, what it leaves, and that it does the same twice."""

import dataclasses
import itertools
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EVENT
from mnist_shared.errors import InvalidInput, LeaseLost, TrainingDiverged
from mnist_shared.training import sampling, trainer
from mnist_shared.training.data import Dataset
from mnist_shared.training.digests import weights_sha256
from mnist_shared.training.metrics import check_finite
from mnist_shared.training.state import fresh_state
from mnist_shared.volume.manifests import list_checkpoints


def test_the_same_configuration_gives_the_same_weights_twice_in_one_process(
    undisturbed: Any, run: Any, config: TrainConfig
) -> None:
    _, first = undisturbed
    torch.rand(7)  # what else draws from torch's generator does not matter
    again = run.execute(config)
    assert again.result.weights_sha256 == first.result.weights_sha256
    assert again.result.test_loss == first.result.test_loss


def test_another_process_comes_to_the_same_weights(
    undisturbed: Any, tmp_path: Path, config: TrainConfig, train_script: list[str]
) -> None:
    command = [*train_script, config.model_dump_json(), str(tmp_path)]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    assert json.loads(out.splitlines()[-1])["weights_sha256"] == undisturbed[1].result.weights_sha256


@pytest.mark.parametrize("change", [{"seed": 2}, {"lr": 0.002}, {"batch_size": 17}])
def test_another_configuration_gives_other_weights(
    undisturbed: Any, run: Any, config: TrainConfig, change: dict[str, Any]
) -> None:
    other = run.execute(config.model_copy(update={**change, "save_model": False}))
    assert other.result.weights_sha256 != undisturbed[1].result.weights_sha256


def test_no_two_steps_of_a_run_share_their_dropout(
    run: Any, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def seed_step(device: torch.device, *, seed: int, step: int) -> None:
        steps.append(step)
        sampling.seed_step(device, seed=seed, step=step)

    monkeypatch.setattr(trainer, "seed_step", seed_step)
    run.execute(config.model_copy(update={"save_model": False}))
    assert steps == list(range(18))


def test_it_learns(run: Any, digits: Dataset) -> None:
    execution = run.execute(TrainConfig(dataset="digits", epochs=2, save_model=False), data=digits)
    assert execution.result.test_accuracy > 0.9
    losses = [event.metrics.train_loss for event in execution.told("epoch")]
    assert losses[1] < losses[0]


def test_events_come_in_the_order_of_what_happens(undisturbed: Any) -> None:
    told = [event.type for event in undisturbed[1].events if event.type != "batch"]
    assert told == ["training_started", "epoch", "checkpoint_saved", "epoch", "checkpoint_saved"]


def test_the_first_event_says_what_is_trained_on(undisturbed: Any) -> None:
    started = undisturbed[1].events[0]
    assert (started.dataset, started.num_images, started.device, started.num_threads) == ("digits", 136, "cpu", 1)
    assert (started.epoch, started.epochs, started.batch, started.num_batches) == (0, 2, 0, 9)
    assert started.checkpoint is None


def test_every_event_survives_the_way_through_json(undisturbed: Any) -> None:
    for event in undisturbed[1].events:
        assert EVENT.validate_json(event.model_dump_json()) == event


def test_the_learning_rate_falls_by_gamma_after_each_epoch(undisturbed: Any, config: TrainConfig) -> None:
    rates = [event.metrics.lr for event in undisturbed[1].told("epoch")]
    assert rates == [config.lr, pytest.approx(config.lr * config.gamma)]


def test_the_train_loss_is_the_mean_over_images_and_not_over_batches(run: Any, config: TrainConfig) -> None:
    clock = itertools.count().__next__  # a second passes at each look: no batch goes unreported
    execution = run.execute(config.model_copy(update={"epochs": 1}), clock=clock)
    losses = [event.loss for event in execution.told("batch")]
    sizes = [16] * 8 + [8]
    mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / 136
    assert execution.told("epoch")[0].metrics.train_loss == pytest.approx(mean)


@pytest.mark.parametrize(("log_interval", "batches"), [(1, [1, 2, 3, 4, 5, 6, 7, 8, 9]), (4, [4, 8]), (10, [])])
def test_every_log_interval_th_batch_is_told_when_they_are_slow(
    run: Any, config: TrainConfig, log_interval: int, batches: list[int]
) -> None:
    slow = itertools.count().__next__
    execution = run.execute(config.model_copy(update={"epochs": 1, "log_interval": log_interval}), clock=slow)
    assert [event.batch for event in execution.told("batch")] == batches


def test_no_more_than_ten_batches_a_second_are_told(run: Any, config: TrainConfig) -> None:
    ticks = itertools.count()
    execution = run.execute(config.model_copy(update={"epochs": 1}), clock=lambda: next(ticks) * 0.03)
    assert [event.batch for event in execution.told("batch")] == [4, 8]  # 0.12 s apart
    assert execution.told("batch")[0].images_per_second == pytest.approx(4 * 16 / 0.12)


def test_the_result_repeats_the_last_epoch(undisturbed: Any) -> None:
    _, execution = undisturbed
    last = execution.told("epoch")[-1].metrics
    result = execution.result
    assert (result.epochs, result.test_loss, result.test_correct) == (2, last.test_loss, last.test_correct)
    assert result.test_accuracy == last.test_correct / 300
    assert result.seconds == pytest.approx(sum(event.metrics.seconds for event in execution.told("epoch")))
    assert result.model_file == "mnist_cnn.pt"


def test_the_model_file_holds_the_final_weights(undisturbed: Any) -> None:
    run, execution = undisturbed
    weights = torch.load(run.folder / "mnist_cnn.pt", weights_only=True)
    assert weights_sha256(weights) == execution.result.weights_sha256
    assert all(tensor.is_contiguous() for tensor in weights.values())


def test_a_run_that_keeps_nothing_writes_nothing(run: Any, config: TrainConfig) -> None:
    execution = run.execute(config.model_copy(update={"epochs": 1, "save_model": False}))
    assert list(run.folder.iterdir()) == []
    assert execution.result.model_file is None
    assert execution.told("checkpoint_saved") == []


def test_a_stopped_run_that_keeps_nothing_writes_nothing_either(run: Any, config: TrainConfig) -> None:
    execution = run.execute(config.model_copy(update={"save_model": False}), should_stop=lambda: True)
    assert execution.result is None
    assert list(run.folder.iterdir()) == []


def test_a_dry_run_is_one_batch_of_each_kind_and_leaves_nothing(run: Any, config: TrainConfig) -> None:
    dry = config.model_copy(update={"dry_run": True, "epochs": 15, "test_batch_size": 50})
    execution = run.execute(dry)
    assert execution.result.dry_run
    assert execution.result.model_file is None
    assert execution.result.test_total == 50
    assert [event.type for event in execution.events if event.type != "batch"] == ["training_started", "epoch"]
    assert execution.events[0].num_images == 16
    assert list(run.folder.iterdir()) == []


def test_a_dry_run_from_the_middle_of_an_epoch_still_trains_its_batch(
    new_run: Any, config: TrainConfig, stop_at: Callable[[int], Callable[[], bool]]
) -> None:
    parent, child = new_run(), new_run()
    parent.execute(config, should_stop=stop_at(5))
    result = child.execute(config.model_copy(update={"dry_run": True}), parent=parent).result
    assert result.weights_sha256 != weights_sha256(parent.newest()[1]["model"])


# A standard deviation so small that the pixels overflow: the loss or the weights are no numbers after the first batch.
OVERFLOWS = 1e-39


@pytest.mark.parametrize("log_interval", [1, 1000])  # seen at a reported batch; at the epoch's end
def test_a_loss_that_is_not_finite_ends_the_run_with_a_hint(
    run: Any, config: TrainConfig, small: Dataset, log_interval: int
) -> None:
    quiet = config.model_copy(update={"log_interval": log_interval})
    with pytest.raises(TrainingDiverged, match="--lr"):
        run.execute(quiet, data=dataclasses.replace(small, std=OVERFLOWS), clock=itertools.count().__next__)
    assert list_checkpoints(run.checkpoints) == []


def test_a_diverged_state_is_not_saved_when_the_run_is_stopped(
    run: Any, config: TrainConfig, small: Dataset, stop_at: Any
) -> None:
    quiet = config.model_copy(update={"log_interval": 1000})
    with pytest.raises(TrainingDiverged):
        run.execute(quiet, data=dataclasses.replace(small, std=OVERFLOWS), should_stop=stop_at(8))
    assert list_checkpoints(run.checkpoints) == []


@pytest.mark.parametrize("name", ["conv1.weight", "fc.bias", "norm3.running_var"])
def test_weights_that_are_not_finite_are_noticed_though_the_loss_is(compact: TrainConfig, name: str) -> None:
    """oneDNN's ReLU makes 0 of NaN."""
    state = fresh_state(compact, device=torch.device("cpu"), num_threads=1)
    check_finite(state)
    state.model.state_dict()[name][0] = math.nan
    with pytest.raises(TrainingDiverged, match="--lr"):
        check_finite(state)


def test_a_validation_set_is_held_out_and_its_best_epoch_is_kept(
    run: Any, config: TrainConfig, digits: Dataset
) -> None:
    data = dataclasses.replace(digits, train_images=digits.train_images[:200], train_labels=digits.train_labels[:200])
    # Far too high at the end of the run: the last epoch is not the best.
    divided = config.model_copy(update={"epochs": 6, "validation_size": 100, "keep_last": 1, "lr": 0.02, "gamma": 1.0})
    execution = run.execute(divided, data=data)
    assert execution.events[0].num_images == 100
    accuracies = [event.metrics.validation_accuracy for event in execution.told("epoch")]
    assert all(event.metrics.validation_loss > 0 for event in execution.told("epoch"))
    best = accuracies.index(max(accuracies)) + 1
    kept = {ref.epoch: ref.file for ref in list_checkpoints(run.checkpoints)}
    assert set(kept) >= {best, 6}
    assert "-best" in kept[best]


def test_a_validation_set_that_leaves_nothing_to_train_on_is_refused(run: Any, config: TrainConfig) -> None:
    with pytest.raises(InvalidInput, match="--validation-size"):
        run.execute(config.model_copy(update={"validation_size": 136}))


def test_a_lost_lease_ends_the_run_and_leaves_nothing(run: Any, config: TrainConfig) -> None:
    def lost() -> None:
        raise LeaseLost("Another execution owns the run.")

    with pytest.raises(LeaseLost):
        run.execute(config, authorize=lost)
    assert [file for file in run.folder.rglob("*") if file.is_file()] == []


def test_the_averaged_weights_are_the_model(run: Any, compact: TrainConfig) -> None:
    execution = run.execute(compact)
    _, state = run.newest()
    weights = torch.load(run.folder / "mnist_cnn.pt", weights_only=True)
    assert weights_sha256(weights) == execution.result.weights_sha256 == weights_sha256(state["averaged"])
    assert weights_sha256(state["model"]) != execution.result.weights_sha256


def test_an_average_follows_by_its_decay_and_counts_for_more_in_the_beginning(compact: TrainConfig) -> None:
    state = fresh_state(compact, device=torch.device("cpu"), num_threads=1)
    assert state.averaged is not None
    with torch.no_grad():
        for weights in (*state.model.parameters(), *state.model.buffers()):
            weights.fill_(1)
        for weights in (*state.averaged.parameters(), *state.averaged.buffers()):
            weights.fill_(0)
    state.average(0.9, step=0)
    assert state.averaged.fc.bias[0].item() == pytest.approx(1 - 1 / 10)
    assert state.averaged.norm1.running_mean[0].item() == pytest.approx(1 - 1 / 10)
    assert state.averaged.norm1.num_batches_tracked.item() == 1
    state.average(0.9, step=10_000)
    assert state.averaged.fc.bias[0].item() == pytest.approx(0.9 * 0.9 + 0.1)


def test_a_last_short_batch_can_be_left_out(run: Any, config: TrainConfig) -> None:
    execution = run.execute(
        config.model_copy(update={"drop_last": True, "epochs": 1}), clock=itertools.count().__next__
    )
    assert execution.events[0].num_batches == 8
    assert [event.batch for event in execution.told("batch")] == list(range(1, 9))


def test_to_leave_out_the_only_batch_is_refused(run: Any, config: TrainConfig) -> None:
    with pytest.raises(InvalidInput, match="--drop-last"):
        run.execute(config.model_copy(update={"drop_last": True, "batch_size": 137}))


def test_on_real_mnist_one_twentieth_of_an_epoch_already_learns(run: Any, mnist: Dataset) -> None:
    data = dataclasses.replace(
        mnist,
        train_images=mnist.train_images[:3000],
        train_labels=mnist.train_labels[:3000],
        test_images=mnist.test_images[:1000],
        test_labels=mnist.test_labels[:1000],
    )
    execution = run.execute(TrainConfig(epochs=1, save_model=False), data=data)
    assert execution.result.test_accuracy > 0.85
