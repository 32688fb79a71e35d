"""How a run's events add up to the progress that its record shows."""

from mnist_shared.contracts.events import BatchProgress, EpochFinished, RunEvent, TrainingStarted
from mnist_shared.contracts.runs import Progress


def advance(progress: Progress | None, event: RunEvent) -> Progress | None:
    """The progress after `event`; the same object when the event says nothing of it."""
    match event:
        case TrainingStarted():
            return Progress(epoch=event.epoch, epochs=event.epochs, batch=event.batch, num_batches=event.num_batches)
        case BatchProgress() if progress:
            return progress.model_copy(
                update={
                    "epoch": event.epoch - 1,
                    "batch": event.batch,
                    "loss": event.loss,
                    "images_per_second": event.images_per_second,
                }
            )
        case EpochFinished() if progress:
            return progress.model_copy(
                update={
                    "epoch": max(progress.epoch, event.metrics.epoch),
                    "batch": 0 if event.metrics.epoch > progress.epoch else progress.batch,
                    "last_epoch": event.metrics,
                    "images_per_second": event.metrics.images_per_second,
                }
            )
        case _:
            return progress
