"""A run's curves for TensorBoard, in `tensorboard/` of its folder.

The trainer tells a resumed run's finished epochs again, so each attempt writes the whole curve into an event file of
its own, removes those of the attempts before it, and tells a TensorBoard that has read them to forget them. However the
attempts ended, no point is doubled or hidden, and no host's clock matters.
"""

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, RunEvent, TrainingStarted
from mnist_shared.contracts.reports import EvaluationReport
from mnist_shared.contracts.runs import EpochMetrics

log = logging.getLogger(__name__)


class CurveWriter:
    """Writes what it hears of a run. A full disk, or a broken library, costs the curves and not the run."""

    def __init__(self, folder: Path, *, config: TrainConfig, attempt: int) -> None:
        self._folder, self._config, self._attempt = folder, config, attempt
        self._writer: Any = None  # torch's SummaryWriter, which carries no types
        self._is_off = False

    def note(self, event: RunEvent) -> None:
        """Hear an event of the run."""
        match event:
            case TrainingStarted():
                self._try(self._open)
            case EpochFinished(metrics=metrics):
                self._try(lambda: self._write_epoch(metrics))
            case _:
                pass

    def finish(self, report: EvaluationReport, images: NDArray[np.uint8]) -> None:
        """The pictures and the final figures of a run that has come to its end."""
        self._try(lambda: self._write_end(report, images))

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

    def _write_end(self, report: EvaluationReport, images: NDArray[np.uint8]) -> None:
        if self._writer is None:
            return
        from PIL import Image

        from mnist_shared.reports.pictures import confusion_png, mistakes_png

        step = self._config.epochs
        for name, content in (
            ("evaluation/confusion", confusion_png(report)),
            ("evaluation/mistakes", mistakes_png(report, images)),
        ):
            picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            self._writer.add_image(name, picture, step, dataformats="HWC")
        self._writer.flush()
