"""A run's curves for TensorBoard, in `tensorboard/` of its folder.

The trainer tells a resumed run's finished epochs again, so each attempt writes the whole curve into an event file of
its own, empties those of the attempts before it, and tells a TensorBoard that has read them to forget them. However the
attempts ended, no point is doubled or hidden, and no host's clock matters.

TensorBoard calls a run by its folder's path, so what it is started on is a folder of links: `tensorboard/NAME-ID` of
the volume leads to `runs/ID/tensorboard`.
"""

import logging
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, RunEvent, TrainingStarted
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.reports.pictures import confusion_png, mistakes_png
from mnist_worker.on_target import report_of

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_shared.training.data import Dataset

log = logging.getLogger(__name__)

# Arguments that no curve depends on: columns of HParams that nobody compares.
_BOOKKEEPING = {
    *("test_batch_size", "no_cuda", "no_mps", "dry_run", "log_interval", "save_model", "resume"),
    *("checkpoint_every_seconds", "keep_last"),
}


class CurveWriter:
    """Writes what it hears of a run. A full disk, or a broken library, costs the curves and not the run.

    `title` is how TensorBoard is to call the run; a link of that name in the folder `links` leads to `folder`. `clock`
    gives the seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: TrainConfig,
        attempt: int,
        title: str,
        links: Path,
        is_on: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._config, self._attempt = folder, config, attempt
        self._link, self._clock = links / title, clock
        self._writer: Any = None  # torch's SummaryWriter, which carries no types
        self._is_off = not is_on
        self._num_finished = 0  # epochs that the attempt found finished, and the trainer tells again
        self._retold: list[EpochMetrics] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def note(self, event: RunEvent) -> None:
        """Hear an event of the run."""
        match event:
            case TrainingStarted(epoch=num_finished):
                self._num_finished = num_finished
            case EpochFinished(metrics=metrics):
                self._try(lambda: self._hear_epoch(metrics))
            case _:
                pass

    def finish(self, answers: "list[Tensor]", data: "Dataset") -> None:
        """Draw the pictures of a run that has come to its end: 0.2 s of a core.

        `answers` are log-probabilities over the whole test set, float32 [n, 10] a batch.
        """
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

        self._empty_earlier()
        self._writer = SummaryWriter(str(self._folder), purge_step=0, filename_suffix=f".a{self._attempt:04d}")
        self._writer.file_writer.add_summary(hyper_parameters(self._config, title=self._link.name))
        self._link_to()

    def _link_to(self) -> None:
        target = os.path.relpath(self._folder, self._link.parent)  # the volume may be mounted elsewhere, too
        try:
            self._link.parent.mkdir(parents=True, exist_ok=True)
            self._link.symlink_to(target, target_is_directory=True)
        except FileExistsError:
            pass  # an earlier attempt's
        except OSError as error:
            # Not every network file system has links.
            log.info("TensorBoard finds this run in %s only: %s", self._folder, error)

    def _empty_earlier(self) -> None:
        """Put nothing in the place of earlier attempts' files.

        A TensorBoard that is reading one waits for ever when it is gone; one that is only cut short would get what a
        worker that comes back still has to write.
        """
        for file in self._folder.glob("events.out.tfevents.*.a*"):
            attempt = file.name.rpartition(".a")[2]
            if attempt.isdecimal() and int(attempt) < self._attempt:
                nothing = self._folder / f"empty.a{self._attempt:04d}"
                nothing.touch()
                nothing.replace(file)

    def _hear_epoch(self, metrics: EpochMetrics) -> None:
        if self._writer is None:
            self._open()  # not before: until then there is nothing to draw
        now = self._clock()
        if metrics.epoch > self._num_finished:
            self._write_epoch(metrics, at=now)
        else:
            self._retold.append(metrics)
        if metrics.epoch == self._num_finished:
            self._write_retold(now)
        self._writer.flush()

    def _write_retold(self, now: float) -> None:
        """Told in one moment, but for TensorBoard's time axis as far apart as they were trained."""
        left = sum(metrics.seconds for metrics in self._retold)
        for metrics in self._retold:
            left -= metrics.seconds
            self._write_epoch(metrics, at=now - left)

    def _write_epoch(self, metrics: EpochMetrics, *, at: float) -> None:
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
                self._writer.add_scalar(name, value, metrics.epoch, walltime=at)

    def _write_end(self, answers: "list[Tensor]", data: "Dataset") -> None:
        if self._writer is None:
            return
        report = report_of(answers, data)
        pictures = {
            "evaluation/confusion": confusion_png(report, is_card=True),
            "evaluation/mistakes": mistakes_png(report, data.test_images.numpy(), is_card=True),
        }
        for tag, png in pictures.items():
            self._writer.file_writer.add_summary(picture(tag, png), self._config.epochs)
        self._writer.flush()


def hyper_parameters(config: TrainConfig, *, title: str) -> Any:
    """The configuration as a summary of TensorBoard's HParams, in which `title` is the trial's ID.

    It declares no columns: TensorBoard then finds them in all runs, those in which runs differ first.
    """
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    values = {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in config.model_dump(exclude=_BOOKKEEPING).items()
    }
    return hparams_pb(values, trial_id=title)


def picture(tag: str, png: bytes) -> Any:
    """A PNG file, as it is, as a summary: torch's `add_image` would decode and encode it once more."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = struct.unpack(">II", png[16:24])  # of IHDR, which comes first: https://www.w3.org/TR/png-3/
    image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=image)])
