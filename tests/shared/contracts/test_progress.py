"""How events add up."""

from mnist_shared.contracts.events import EpochFinished, TrainingStarted
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.runs import NUM_LOSSES, EpochMetrics, Progress


def started(epoch: int) -> TrainingStarted:
    return TrainingStarted(
        dataset="digits", num_images=1, device="cpu", num_threads=1, epoch=epoch, epochs=99, batch=0, num_batches=7
    )


def epoch(number: int, *, correct: int = 5) -> EpochFinished:
    metrics = EpochMetrics(
        epoch=number, train_loss=1 / number, test_loss=0.1, test_correct=correct, test_total=10,
        test_accuracy=correct / 10, lr=0.001, seconds=1.0, images_per_second=10.0,
    )  # fmt: skip
    return EpochFinished(epochs=99, metrics=metrics)


def after(*events: TrainingStarted | EpochFinished) -> Progress:
    progress: Progress | None = None
    for event in events:
        progress = advance(progress, event)
    assert progress
    return progress


def test_the_best_accuracy_and_the_losses_of_the_epochs_are_kept() -> None:
    progress = after(started(0), epoch(1), epoch(2, correct=9), epoch(3, correct=8))
    assert (progress.epoch, progress.best_accuracy, progress.losses) == (3, 0.9, (1.0, 1 / 2, 1 / 3))


def test_an_epoch_told_again_counts_once_and_a_later_attempt_goes_on() -> None:
    progress = after(started(0), epoch(1), epoch(2), started(1), epoch(1), epoch(2), epoch(3))
    assert progress.losses == (1.0, 1 / 2, 1 / 3)
    assert after(started(0), epoch(1), epoch(2), started(1)).epoch == 1


def test_only_so_many_losses_are_kept_as_are_shown() -> None:
    progress = after(started(0), *(epoch(number) for number in range(1, 60)))
    assert len(progress.losses) == NUM_LOSSES
    assert progress.losses[-1] == 1 / 59
