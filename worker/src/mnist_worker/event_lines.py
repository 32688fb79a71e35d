"""What a run's events say in a log: the few that a reader of one wants to see."""

from mnist_shared.contracts.events import (
    CheckpointRejected,
    CheckpointSaved,
    EnvironmentRecorded,
    EpochFinished,
    EvaluationStarted,
    RunEvent,
    TrainingStarted,
)


def line_of(event: RunEvent) -> str | None:
    """The event in words; None when it is not worth a line."""
    match event:
        case EnvironmentRecorded():
            versions = ", ".join(f"{name} {version}" for name, version in event.versions.items())
            return f"on {event.device} ({event.device_name}), {event.num_threads} CPU threads; {versions}"
        case TrainingStarted():
            origin = f" from {event.checkpoint}" if event.checkpoint else ""
            place = f"epoch {event.epoch + 1}/{event.epochs}, batch {event.batch}/{event.num_batches}"
            return f"training on {event.dataset} ({event.num_images:,} images) starts at {place}{origin}"
        case EpochFinished(metrics=metrics):
            return (
                f"epoch {metrics.epoch}/{event.epochs}: test accuracy {metrics.test_accuracy:.2%}, "
                f"train loss {metrics.train_loss:.4f}, test loss {metrics.test_loss:.4f}, {metrics.seconds:.1f} s"
            )
        case CheckpointSaved(checkpoint=checkpoint):
            return f"checkpoint {checkpoint.file} ({checkpoint.num_bytes:,} bytes)"
        case CheckpointRejected():
            return f"checkpoint {event.file} is passed over: {event.reason}"
        case EvaluationStarted():
            return f"evaluating {event.checkpoint} on {event.dataset} ({event.num_images:,} images)"
        case _:
            return None
