"""When a run in training is saved: after each epoch, every so many seconds within one, and where it is stopped.

The loop makes the checkpoint's bytes (14 MB, 1 ms: no more than a copy of the state). Their digest and the disk are a
thread's business, one checkpoint at a time. What has gone wrong there is raised in the loop, at its next look.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from torch import Tensor

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import CheckpointSaved, RunEvent
from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.training.checkpoints import CheckpointStore, serialized
from mnist_shared.training.data import Dataset
from mnist_shared.training.metrics import check_finite
from mnist_shared.training.state import TrainingState, capture


class Saver:
    """Saves a run's state and tells of it; does nothing for a run that keeps none (--no-save-model, --dry-run).

    A context: at its end what is being written is on the disk and told of, or has raised; its thread is gone.
    """

    def __init__(
        self,
        checkpoints: CheckpointStore,
        *,
        config: TrainConfig,
        data: Dataset,
        on_event: Callable[[RunEvent], None],
        clock: Callable[[], float],
        saved_at: tuple[int, int] | None,
    ) -> None:
        """`saved_at` is the place (epoch, batch) at which the run's own checkpoint already stands, if it has one."""
        self._checkpoints = checkpoints
        self._config = config
        self._data = data
        self._on_event = on_event
        self._clock = clock
        self._saved_at = saved_at
        self._last_save = clock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[CheckpointRef] | None = None
        self.is_on = config.save_model and not config.dry_run

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True)
        # After an error of the loop that one counts, and what was written is still told of.
        if error is None or (self._writing and isinstance(error, Exception) and not self._writing.exception()):
            self.flush()

    def save(self, state: TrainingState) -> None:
        """Begin to save `state` as it is now, unless the last checkpoint stands at this very place.

        Waits for the one before, if that is still being written, and tells of it.

        Raises:
            LeaseLost: another execution owns the run.
            VolumeError: the volume is full, read-only or out of reach.
            TrainingDiverged: the loss or the weights are not finite; such a state is of no use to anybody.
        """
        place = (state.epoch, state.batch)
        if not self.is_on or place == self._saved_at:
            return
        self.flush()
        check_finite(state)
        content = serialized(_on_cpu(capture(state, config=self._config, data=self._data)))
        self._writing = self._thread.submit(
            self._checkpoints.save, content, epoch=state.epoch, batch=state.batch, best=_is_best(state)
        )
        self._saved_at = place
        self._last_save = self._clock()

    def save_if_due(self, state: TrainingState) -> None:
        """Tell of a checkpoint that has been written meanwhile; begin the next one `checkpoint_every_seconds` later.

        Never waits: while one is being written, the next is not due. Raises what `save` raises.
        """
        if self._writing is not None:
            if not self._writing.done():
                return
            self.flush()
        interval = self._config.checkpoint_every_seconds
        if interval > 0 and self._clock() - self._last_save >= interval:
            self.save(state)

    def flush(self) -> None:
        """Wait until what was begun is on the disk, and tell of it. Raises what `save` raises."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._on_event(CheckpointSaved(checkpoint=writing.result()))


def _on_cpu(value: Any) -> Any:
    """The same with its tensors on the CPU, so that a machine without the device can read them too."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {name: _on_cpu(item) for name, item in value.items()}
    return [_on_cpu(item) for item in value] if isinstance(value, list) else value


def _is_best(state: TrainingState) -> bool:
    """Whether the run stands right after the epoch of its best validation accuracy, the first of equals."""
    accuracies = [metrics.validation_accuracy for metrics in state.own_history]
    if state.batch > 0 or not accuracies or accuracies[-1] is None:
        return False
    return all(before is None or before < accuracies[-1] for before in accuracies[:-1])
