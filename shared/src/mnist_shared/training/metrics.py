"""What is told of a run while it trains: batches, at a bearable rate, and each epoch's figures."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import BatchProgress, RunEvent
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.errors import TrainingDiverged
from mnist_shared.training.evaluation import evaluate
from mnist_shared.training.sets import TrainingSets
from mnist_shared.training.state import TrainingState

MIN_REPORT_SECONDS = 0.1  # between two reported batches


@torch.no_grad()
def check_finite(state: TrainingState) -> None:
    """Look at the epoch's loss and at the weights, one wait for the device.

    Both, because oneDNN's ReLU turns NaN into 0: the loss of weights that are not finite may be.

    Raises:
        TrainingDiverged: a number of them is infinite or none.
    """
    tensors = [*state.model.parameters(), *state.model.buffers()]
    _finite(sum((tensor.sum() for tensor in tensors), start=state.loss_sum).item(), state)


def _finite(number: float, state: TrainingState) -> None:
    if not math.isfinite(number):
        raise TrainingDiverged(
            f"Training with a learning rate of {state.lr:g} diverged: the loss or a weight is no longer finite.",
            hint="Try a lower --lr.",
        )


class BatchReporter:
    """Tells of every `log_interval`-th batch, but of no more than ten a second: each one waits for the device."""

    def __init__(
        self, on_event: Callable[[RunEvent], None], *, epochs: int, num_batches: int, log_interval: int, now: float
    ) -> None:
        self._on_event = on_event
        self._epochs = epochs
        self._num_batches = num_batches
        self._log_interval = log_interval
        self._told_at = now
        self._since_told = 0  # images

    def report(self, state: TrainingState, loss: Tensor, *, num_images: int, now: float) -> None:
        """Tell of the batch that `state` has just finished, if it is due.

        Raises:
            TrainingDiverged: the loss or the weights are not finite.
        """
        self._since_told += num_images
        elapsed = now - self._told_at
        if state.batch % self._log_interval != 0 or elapsed < MIN_REPORT_SECONDS:
            return
        check_finite(state)
        self._on_event(
            BatchProgress(
                epoch=state.epoch + 1,
                epochs=self._epochs,
                batch=state.batch,
                num_batches=self._num_batches,
                loss=loss.item(),
                images_per_second=self._since_told / elapsed,
            )
        )
        self._told_at = now
        self._since_told = 0


def measure_epoch(
    state: TrainingState,
    *,
    sets: TrainingSets,
    config: TrainConfig,
    device: torch.device,
    should_stop: Callable[[], bool],
    clock: Callable[[], float],
    answers: list[Tensor] | None = None,
) -> EpochMetrics | None:
    """The figures of the epoch whose last batch is done; None when `should_stop` said so during the evaluation.

    `answers`, where given, gets the log-probabilities over the test set.

    Raises:
        TrainingDiverged: a loss or the weights are not finite.
    """
    started = clock()
    check_finite(state)
    train_loss = state.loss_sum.item() / state.num_seen
    waited = clock() - started
    found = []
    for images, labels, kept in ((*sets.test, answers), (*sets.validation, None)):
        result = None
        if len(images) > 0:
            result = evaluate(
                state.tested,
                images,
                labels,
                mean=sets.mean,
                std=sets.std,
                batch_size=config.test_batch_size,
                device=device,
                should_stop=should_stop,
                answers=kept,
            )
            if result is None:
                return None
            _finite(result.average_loss, state)
        found.append(result)
    test, validation = found
    assert test is not None, "the test set is empty"
    return EpochMetrics(
        epoch=state.epoch + 1,
        train_loss=train_loss,
        test_loss=test.average_loss,
        test_correct=test.correct,
        test_total=test.total,
        test_accuracy=test.correct / test.total,
        validation_loss=validation.average_loss if validation else None,
        validation_accuracy=validation.correct / validation.total if validation else None,
        lr=state.lr,
        seconds=state.seconds + clock() - started,
        images_per_second=state.num_seen / max(state.seconds + waited, 1e-9),
    )
