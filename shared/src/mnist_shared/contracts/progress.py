"""How a run's events add up to the progress that its record shows."""

from mnist_shared.contracts.events import BatchProgress, EpochFinished, RunEvent, TrainingStarted
from mnist_shared.contracts.runs import NUM_LOSSES, Progress


def advance(progress: Progress | None, event: RunEvent) -> Progress | None:
    """The progress after `event`; the same object when the event says nothing of it."""
    match event:
        case TrainingStarted():
            start = Progress(epoch=event.epoch, epochs=event.epochs, batch=event.batch, num_batches=event.num_batches)
            # Of a later attempt: what the epochs before came to stays.
            kept = ("images_per_second", "last_epoch", "best_accuracy", "losses")
            return start.model_copy(update={name: getattr(progress, name) for name in kept}) if progress else start
        case BatchProgress() if progress:
            return progress.model_copy(
                update={
                    "epoch": event.epoch - 1,
                    "batch": event.batch,
                    "loss": event.loss,
                    "images_per_second": event.images_per_second,
                }
            )
        case EpochFinished(metrics=metrics) if progress:
            place = {
                "epoch": max(progress.epoch, metrics.epoch),
                "batch": 0 if metrics.epoch > progress.epoch else progress.batch,
                "images_per_second": metrics.images_per_second,
            }
            if progress.last_epoch is not None and metrics.epoch <= progress.last_epoch.epoch:
                return progress.model_copy(update=place)  # told again: it is counted already
            sums = {
                "last_epoch": metrics,
                "best_accuracy": max(progress.best_accuracy or 0.0, metrics.test_accuracy),
                "losses": (*progress.losses, metrics.train_loss)[-NUM_LOSSES:],
            }
            return progress.model_copy(update=place | sums)
        case _:
            return progress
