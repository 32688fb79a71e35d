"""The real worker with nothing to train: `python -m benchmarks.noop_worker --name NAME`.

All that surrounds a training is there: Celery, the claim, the reporter, run.json, the events, the archive on the
volume, the commit. Only the call of the trainer is replaced, by a function that says that it has started and returns.
"""

from collections.abc import Callable
from typing import Any

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import RunEvent, TrainingStarted
from mnist_shared.contracts.runs import TrainResult
from mnist_worker.cli import main
from mnist_worker.pool import TrainingPool

STARTED = TrainingStarted(
    dataset="digits", num_images=1, device="cpu", num_threads=1, epoch=0, epochs=1, batch=0, num_batches=1
)
RESULT = TrainResult(
    epochs=1, test_loss=0.0, test_correct=1, test_total=1, test_accuracy=1.0, seconds=0.0,
    device="cpu", num_threads=1, weights_sha256="0" * 64, model_file=None,
)  # fmt: skip


def train_nothing(config: TrainConfig, *, on_event: Callable[[RunEvent], None], **_: Any) -> TrainResult:
    """Stands in for `mnist_shared.training.trainer.train`."""
    on_event(STARTED)
    return RESULT


def start_real_pool(pool: TrainingPool, *, start: Callable[[TrainingPool], None] = TrainingPool.start) -> None:
    """Load torch and all else as ever, then take the trainer away."""
    start(pool)
    from mnist_worker import work

    work.train = train_nothing  # type: ignore[assignment]


if __name__ == "__main__":
    TrainingPool.start = start_real_pool  # type: ignore[method-assign]
    main()
