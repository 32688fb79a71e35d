"""A run's metrics, epoch by epoch, with those of the runs that it goes on from."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_client.history import History, history_of
from mnist_shared.contracts.requests import ResumeRequest
from mnist_shared.contracts.runs import EpochMetrics, RunRecord
from mnist_shared.errors import BrokerUnreachable, ContractError, RunNotFound

if TYPE_CHECKING:
    from mnist_client.context import CommandContext

MAX_GENERATIONS = 1000  # a bound, should records ever name each other in a circle

MetricName = str
METRICS: dict[MetricName, str] = {
    "test-accuracy": "test accuracy",
    "test-loss": "test loss",
    "train-loss": "train loss",
    "validation-accuracy": "validation accuracy",
    "validation-loss": "validation loss",
    "lr": "learning rate",
    "images-per-second": "images/s",
}
FALLING = frozenset({"test-loss", "train-loss", "validation-loss"})  # the lower the better


@dataclass(frozen=True)
class Curve:
    """What a run has told of its epochs. `inherited` of them are those of the runs before it."""

    record: RunRecord
    epochs: tuple[EpochMetrics, ...]  # in order
    inherited: int
    history: History  # its own

    @property
    def label(self) -> str:
        """What a user calls the run."""
        return self.record.options.name or self.record.id

    @property
    def best(self) -> EpochMetrics | None:
        """The epoch of the highest accuracy on the test set; the first of equals."""
        return max(self.epochs, key=lambda metrics: metrics.test_accuracy, default=None)

    def points(self, metric: MetricName) -> list[tuple[int, float]]:
        """(epoch, value), where it was measured."""
        measured = [(metrics.epoch, getattr(metrics, metric.replace("-", "_"))) for metrics in self.epochs]
        return [(epoch, value) for epoch, value in measured if value is not None and math.isfinite(value)]

    def shown_points(self, metric: MetricName) -> list[tuple[int, float]]:
        """The same as they are shown: accuracies in percent."""
        factor = 100 if metric.endswith("accuracy") else 1
        return [(epoch, factor * value) for epoch, value in self.points(metric)]


def read_curve(context: "CommandContext", record: RunRecord) -> Curve:
    """The run's curve. Raises BrokerUnreachable."""
    history = read_history(context, record.id)
    before = _inherited(context, record, up_to=_first_epoch(history))
    return Curve(record, epochs=(*before, *history.epochs), inherited=len(before), history=history)


def accuracies(context: "CommandContext", run_id: str) -> dict[int, float]:
    """The accuracy on the test set after each epoch that the run itself has told of."""
    return {metrics.epoch: metrics.test_accuracy for metrics in read_history(context, run_id).epochs}


def read_history(context: "CommandContext", run_id: str) -> History:
    """What the broker knows of the run, or, where its record is gone, what is kept on the volume; else nothing."""
    try:
        if told := context.events.replay(run_id):
            return history_of(told)
    except BrokerUnreachable:
        raise
    except ContractError as error:
        context.output.warn(f"the events of run {run_id} cannot be read: {error}")
        return History()
    from mnist_shared.storage.archive import read_archive
    from mnist_shared.volume.run_folder import RunFolder

    try:
        return history_of(read_archive(RunFolder(context.settings.runs_dir, run_id)).events)
    except (OSError, ValueError, ContractError):
        return History()


def _inherited(context: "CommandContext", record: RunRecord, *, up_to: int | None) -> list[EpochMetrics]:
    """The epochs that were finished when the run began, as the runs before it told them."""
    found: dict[int, EpochMetrics] = {}
    request = record.request
    for _ in range(MAX_GENERATIONS):
        if not isinstance(request, ResumeRequest) or not up_to:
            break
        history = read_history(context, request.parent)
        for metrics in history.epochs:
            if metrics.epoch <= up_to:
                found.setdefault(metrics.epoch, metrics)
        began = _first_epoch(history)
        try:
            request = context.store.get(request.parent).request
        except (RunNotFound, ContractError):
            break
        up_to = min(up_to, began) if began is not None else None
    return [found[epoch] for epoch in sorted(found)]


def _first_epoch(history: History) -> int | None:
    """After how many finished epochs the run began."""
    return next((one.began_at.epoch for one in history.attempts if one.began_at is not None), None)
