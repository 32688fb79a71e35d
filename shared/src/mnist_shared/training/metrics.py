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


def finite(loss: float, *, lr: float) -> float:
    """`loss` itself.

    Raises:
        TrainingDiverged: it is infinite or not a number.
    """
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"The loss is {loss}: training with a learning rate of {lr:g} diverged.", hint="Try a lower --lr."
        )
    return loss


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
            TrainingDiverged: its loss is not finite.
        """
        self._since_told += num_images
        elapsed = now - self._told_at
        if state.batch % self._log_interval != 0 or elapsed < MIN_REPORT_SECONDS:
            return
        self._on_event(
            BatchProgress(
                epoch=state.epoch + 1,
                epochs=self._epochs,
                batch=state.batch,
                num_batches=self._num_batches,
                loss=finite(loss.item(), lr=state.lr),
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
        TrainingDiverged: a loss is not finite.
    """
    started = clock()
    train_loss = finite(state.loss_sum.item() / state.num_seen, lr=state.lr)  # waits for the device
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
            finite(result.average_loss, lr=state.lr)
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
