"""When a run in training is saved: after each epoch, every so many seconds within one, and where it is stopped."""

from collections.abc import Callable

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import CheckpointSaved, RunEvent
from mnist_shared.training.checkpoints import CheckpointStore
from mnist_shared.training.data import Dataset
from mnist_shared.training.metrics import finite
from mnist_shared.training.state import TrainingState, capture


class Saver:
    """Saves a run's state and tells of it; does nothing for a run that keeps none (--no-save-model, --dry-run)."""

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
        self.is_on = config.save_model and not config.dry_run

    def save(self, state: TrainingState) -> None:
        """Save `state`, unless the last checkpoint stands at this very place.

        Raises:
            LeaseLost: another execution owns the run.
            VolumeError: the volume is full, read-only or out of reach.
            TrainingDiverged: the loss is not finite; such a state is of no use to anybody.
        """
        place = (state.epoch, state.batch)
        if not self.is_on or place == self._saved_at:
            return
        finite(state.loss_sum.item(), lr=state.lr)
        document = capture(state, config=self._config, data=self._data)
        ref = self._checkpoints.save(document, epoch=state.epoch, batch=state.batch, best=_is_best(state))
        self._saved_at = place
        self._last_save = self._clock()
        self._on_event(CheckpointSaved(checkpoint=ref))

    def save_if_due(self, state: TrainingState) -> None:
        """Save `state` when `checkpoint_every_seconds` have passed since the last time. Raises what `save` raises."""
        interval = self._config.checkpoint_every_seconds
        if interval > 0 and self._clock() - self._last_save >= interval:
            self.save(state)


def _is_best(state: TrainingState) -> bool:
    """Whether the run stands right after the epoch of its best validation accuracy, the first of equals."""
    accuracies = [metrics.validation_accuracy for metrics in state.own_history]
    if state.batch > 0 or not accuracies or accuracies[-1] is None:
        return False
    return all(before is None or before < accuracies[-1] for before in accuracies[:-1])
