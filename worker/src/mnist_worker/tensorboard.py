"""A run's curves for TensorBoard, in `tensorboard/` of its folder.

The trainer tells a resumed run's finished epochs again, so each attempt writes the whole curve into an event file of
its own, removes those of the attempts before it, and tells a TensorBoard that has read them to forget them. However the
attempts ended, no point is doubled or hidden, and no host's clock matters.
"""

import logging
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, RunEvent, TrainingStarted
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.reports.mistakes import worst_mistakes

if TYPE_CHECKING:
    from mnist_shared.training.data import Dataset

log = logging.getLogger(__name__)

TILE = 24  # pixels of a count
ROWS, COLUMNS = 3, 8
NUM_MISTAKES = ROWS * COLUMNS


class CurveWriter:
    """Writes what it hears of a run. A full disk, or a broken library, costs the curves and not the run."""

    def __init__(self, folder: Path, *, config: TrainConfig, attempt: int, is_on: bool = True) -> None:
        self._folder, self._config, self._attempt = folder, config, attempt
        self._writer: Any = None  # torch's SummaryWriter, which carries no types
        self._is_off = not is_on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def note(self, event: RunEvent) -> None:
        """Hear an event of the run."""
        match event:
            case TrainingStarted():
                self._try(self._open)
            case EpochFinished(metrics=metrics):
                self._try(lambda: self._write_epoch(metrics))
            case _:
                pass

    def finish(self, answers: NDArray[np.float32], data: "Dataset") -> None:
        """The pictures of a run that has come to its end; `answers` are log-probabilities over the whole test set."""
        self._try(lambda: self._write_end(answers, data))

    def close(self) -> None:
        """No more is to come from this attempt."""
        if self._writer is not None:
            self._try(self._writer.close)

    def _try(self, action: Any) -> None:
        if self._is_off:
            return
        try:
            action()
        except Exception as error:
            # The edge to a library and a volume that only serve for looking at: no reason to end a run.
            log.warning("no more curves for TensorBoard: %s", error)
            self._is_off = True

    def _open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is not None:
            return
        self._remove_earlier()
        self._writer = SummaryWriter(str(self._folder), purge_step=0, filename_suffix=f".a{self._attempt:04d}")
        from torch.utils.tensorboard.summary import hparams

        config = self._config.model_dump()
        values = {name: value for name, value in config.items() if isinstance(value, int | float | str)}
        experiment, start, _ = hparams(values, {"accuracy/test": 0.0, "loss/test": 0.0})  # type: ignore[no-untyped-call]
        self._writer.file_writer.add_summary(experiment)
        self._writer.file_writer.add_summary(start)

    def _remove_earlier(self) -> None:
        for file in self._folder.glob("events.out.tfevents.*.a*"):
            attempt = file.name.rpartition(".a")[2]
            if attempt.isdecimal() and int(attempt) < self._attempt:
                file.unlink(missing_ok=True)

    def _write_epoch(self, metrics: EpochMetrics) -> None:
        if self._writer is None:
            return
        scalars = {
            "loss/train": metrics.train_loss,
            "loss/test": metrics.test_loss,
            "loss/validation": metrics.validation_loss,
            "accuracy/test": metrics.test_accuracy,
            "accuracy/validation": metrics.validation_accuracy,
            "training/learning_rate": metrics.lr,
            "training/images_per_second": metrics.images_per_second,
        }
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, metrics.epoch)
        self._writer.flush()

    def _write_end(self, answers: NDArray[np.float32], data: "Dataset") -> None:
        if self._writer is None:
            return
        labels, step = data.test_labels.numpy(), self._config.epochs
        self._writer.add_image("evaluation/confusion", confusion_tiles(answers, labels), step, dataformats="HW")
        mistakes = mistake_tiles(answers, labels, data.test_images.numpy())
        self._writer.add_image("evaluation/mistakes", mistakes, step, dataformats="HW")
        self._writer.flush()


def confusion_tiles(answers: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The confusion matrix in grey tiles, rows labels, columns answers; by square roots, so that single ones show."""
    num = answers.shape[1]
    counts = np.bincount(labels * num + answers.argmax(axis=1), minlength=num * num).reshape(num, num)
    shares = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    grey: NDArray[np.uint8] = np.rint(255 * (1 - shares)).astype(np.uint8)
    return grey.repeat(TILE, axis=0).repeat(TILE, axis=1)


def mistake_tiles(
    answers: NDArray[np.float32], labels: NDArray[np.int64], images: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The NUM_MISTAKES worst mistakes side by side, those first in which the right answer got the least."""
    worst = worst_mistakes(answers, labels, most=NUM_MISTAKES)
    side = images.shape[1] + 2
    field = np.zeros((ROWS * side, COLUMNS * side), dtype=np.uint8)
    for place, index in enumerate(worst):
        row, column = divmod(place, COLUMNS)
        field[row * side + 1 : (row + 1) * side - 1, column * side + 1 : (column + 1) * side - 1] = images[index]
    return field.repeat(2, axis=0).repeat(2, axis=1)
