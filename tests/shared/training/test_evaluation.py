"""Evaluation: the figures are those of a plain pass, whatever the batches; and it can be stopped."""

import itertools
from typing import Any

import pytest
import torch
from torch.nn import functional

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import Which
from mnist_shared.errors import CheckpointError
from mnist_shared.training.data import Dataset
from mnist_shared.training.evaluation import evaluate, evaluate_checkpoint, normalised
from mnist_shared.training.model import ReferenceNet
from mnist_shared.training.tested import load_tested

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> ReferenceNet:
    torch.manual_seed(1)
    return ReferenceNet()


def test_pixels_are_normalised_as_the_reference_does(small: Dataset) -> None:
    found = normalised(small.train_images[:3], mean=0.1307, std=0.3081)
    expected = ((small.train_images[:3].float() / 255) - 0.1307) / 0.3081
    torch.testing.assert_close(found, expected.unsqueeze(1))


@pytest.mark.parametrize("batch_size", [1000, 128, 100, 7])
def test_the_batch_size_does_not_change_the_figures(model: ReferenceNet, small: Dataset, batch_size: int) -> None:
    model.train()
    found = evaluate(model, small.test_images, small.test_labels, mean=0.3, std=0.35, batch_size=batch_size, device=CPU)
    assert found is not None
    assert model.training, "it is given back as it came"
    model.eval()
    with torch.no_grad():
        output = model(normalised(small.test_images, mean=0.3, std=0.35))
    assert found.average_loss == pytest.approx(functional.nll_loss(output, small.test_labels).item(), rel=1e-5)
    assert found.correct == int((output.argmax(1) == small.test_labels).sum())
    assert found.total == 300


def test_a_cpu_is_given_small_batches_however_large_they_may_be(model: ReferenceNet, small: Dataset) -> None:
    asked = itertools.count()
    evaluate(
        model,
        small.test_images,
        small.test_labels,
        mean=0.3,
        std=0.35,
        batch_size=1000,
        device=CPU,
        should_stop=lambda: next(asked) < 0,
    )
    assert next(asked) == 3


def test_it_stops_between_two_batches(model: ReferenceNet, small: Dataset) -> None:
    asked = itertools.count()
    found = evaluate(
        model,
        small.test_images,
        small.test_labels,
        mean=0.3,
        std=0.35,
        batch_size=50,
        device=CPU,
        should_stop=lambda: next(asked) == 2,
    )
    assert found is None
    assert next(asked) == 3


def evaluation_of(
    run: Any, config: TrainConfig, data: Dataset, *, which: Which = "last", **more: Any
) -> tuple[Any, list[Any]]:
    events: list[Any] = []
    result = evaluate_checkpoint(
        load_tested(run.checkpoints, target="0123456789ab", which=which, on_event=events.append),
        target="0123456789ab",
        config=config,
        data=data,
        normalisation=data.normalisation,
        device=CPU,
        num_threads=1,
        on_event=events.append,
        **more,
    )
    return result, events


def test_a_checkpoint_is_worth_what_its_run_said(undisturbed: Any, config: TrainConfig, small: Dataset) -> None:
    run, execution = undisturbed
    result, events = evaluation_of(run, config, small)
    assert (result.average_loss, result.correct, result.total) == (
        execution.result.test_loss,
        execution.result.test_correct,
        300,
    )
    assert result.accuracy == execution.result.test_accuracy
    assert (result.target, result.checkpoint.epoch, result.device) == ("0123456789ab", 2, "cpu")
    assert [event.type for event in events] == ["evaluation_started"]
    assert events[0].checkpoint == result.checkpoint.file


def test_a_checkpoint_says_itself_which_network_it_is_and_its_average_is_evaluated(
    run: Any, compact: TrainConfig, config: TrainConfig, small: Dataset
) -> None:
    execution = run.execute(compact)
    result, _ = evaluation_of(run, config, small)  # a configuration of another network
    assert (result.average_loss, result.correct) == (execution.result.test_loss, execution.result.test_correct)


def test_a_damaged_checkpoint_is_told_and_the_one_before_evaluated(
    run: Any, config: TrainConfig, small: Dataset
) -> None:
    execution = run.execute(config)
    (run.checkpoints / "epoch-0002-batch-00000-a0001.pt").write_bytes(b"")
    result, events = evaluation_of(run, config, small)
    assert [event.type for event in events] == ["checkpoint_rejected", "evaluation_started"]
    assert result.checkpoint.epoch == 1
    assert result.average_loss == execution.told("epoch")[0].metrics.test_loss


def test_the_answers_are_those_that_the_figures_come_from(
    undisturbed: Any, config: TrainConfig, small: Dataset
) -> None:
    answers: list[torch.Tensor] = []
    result, _ = evaluation_of(undisturbed[0], config, small, answers=answers)
    logs = torch.cat(answers)
    assert logs.shape == (300, 10)
    assert int((logs.argmax(dim=1) == small.test_labels).sum()) == result.correct


def test_a_checkpoint_is_chosen_by_its_epoch(run: Any, config: TrainConfig, small: Dataset) -> None:
    execution = run.execute(config)
    result, _ = evaluation_of(run, config, small, which=1)
    assert result.checkpoint.epoch == 1
    assert result.average_loss == execution.told("epoch")[0].metrics.test_loss


@pytest.mark.parametrize(("which", "words"), [("best", "no best checkpoint"), (7, "none after epoch 7")])
def test_a_checkpoint_that_is_not_there_is_an_error(
    run: Any, config: TrainConfig, small: Dataset, which: Which, words: str
) -> None:
    run.execute(config)
    with pytest.raises(CheckpointError, match=words):
        evaluation_of(run, config, small, which=which)


def test_the_best_checkpoint_is_that_of_the_best_validation_accuracy(
    run: Any, config: TrainConfig, small: Dataset
) -> None:
    execution = run.execute(config.model_copy(update={"validation_size": 50, "keep_last": 5}))
    accuracies = [event.metrics.validation_accuracy for event in execution.told("epoch")]
    result, _ = evaluation_of(run, config, small, which="best")
    assert result.checkpoint.epoch == accuracies.index(max(accuracies)) + 1


def test_a_stopped_evaluation_has_no_result(undisturbed: Any, config: TrainConfig, small: Dataset) -> None:
    result, _ = evaluation_of(undisturbed[0], config, small, should_stop=lambda: True)
    assert result is None


def test_a_run_without_a_checkpoint_cannot_be_evaluated(run: Any, config: TrainConfig, small: Dataset) -> None:
    with pytest.raises(CheckpointError, match="0123456789ab has no checkpoint"):
        evaluation_of(run, config, small)


def test_on_real_mnist_a_fresh_network_guesses(model: ReferenceNet, mnist: Dataset) -> None:
    found = evaluate(
        model,
        mnist.test_images[:2000],
        mnist.test_labels[:2000],
        mean=mnist.mean,
        std=mnist.std,
        batch_size=1000,
        device=CPU,
    )
    assert found is not None
    assert found.correct / found.total < 0.3
