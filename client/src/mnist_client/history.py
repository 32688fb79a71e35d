"""What a run's events add up to: its attempts with their ends, its epochs, and what it ran on."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mnist_shared.contracts.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    BatchProgress,
    CheckpointSaved,
    EnvironmentRecorded,
    EpochFinished,
    Finished,
    HandedBack,
    TrainingStarted,
)
from mnist_shared.contracts.runs import EpochMetrics, RunError

if TYPE_CHECKING:
    from mnist_shared.storage.events import ToldEvent


@dataclass(frozen=True)
class Place:
    """How far training had come: finished epochs, and finished batches of the next one."""

    epoch: int = 0
    batch: int = 0
    num_batches: int | None = None  # an epoch; None: not known

    @property
    def step(self) -> int | None:
        return None if self.num_batches is None else self.epoch * self.num_batches + self.batch


@dataclass(frozen=True)
class Attempt:
    """One execution of the run, or the beginning of one."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    end: str = ""  # lost, handed back, failed, succeeded, cancelled; empty while it goes on
    error: RunError | None = None
    began_at: Place | None = None  # where its training began
    place: Place | None = None  # how far it came, by what it told


@dataclass(frozen=True)
class History:
    attempts: list[Attempt] = field(default_factory=list)
    epochs: list[EpochMetrics] = field(default_factory=list)
    environment: EnvironmentRecorded | None = None  # of the last attempt that said
    training: TrainingStarted | None = None  # the last one

    @property
    def num_devices(self) -> int:
        """On how many workers it ran."""
        return len({attempt.worker for attempt in self.attempts})


def place_after(place: Place | None, event: object) -> Place | None:
    """Where training is after `event`; the same place when it says nothing of it."""
    match event:
        case TrainingStarted():
            return Place(event.epoch, event.batch, event.num_batches)
        case BatchProgress():
            return Place(event.epoch - 1, event.batch, event.num_batches)
        case EpochFinished():
            # Of a later attempt, which tells again what its predecessor may not have.
            known = place or Place()
            return replace(known, epoch=event.metrics.epoch, batch=0) if event.metrics.epoch > known.epoch else known
        case CheckpointSaved():
            return replace(place or Place(), epoch=event.checkpoint.epoch, batch=event.checkpoint.batch)
        case _:
            return place


def history_of(told: "Iterable[ToldEvent]") -> History:
    """The history from a run's events, from its first."""
    attempts: list[Attempt] = []
    epochs: dict[int, EpochMetrics] = {}
    environment: EnvironmentRecorded | None = None
    training: TrainingStarted | None = None
    for one in told:
        event = one.event
        if isinstance(event, EnvironmentRecorded):
            environment = event
        elif isinstance(event, EpochFinished):
            epochs[event.metrics.epoch] = event.metrics
        elif isinstance(event, TrainingStarted):
            training = event
        if isinstance(event, AttemptStarted):
            attempts.append(Attempt(number=event.attempt, worker=event.worker, started_at=one.at))
        elif attempts and not attempts[-1].end:
            attempts[-1] = _after(attempts[-1], one)
    return History(attempts, [epochs[number] for number in sorted(epochs)], environment, training)


def _after(attempt: Attempt, told: "ToldEvent") -> Attempt:
    event = told.event
    match event:
        case AttemptLost():
            return replace(attempt, end="lost", ended_at=told.at)
        case HandedBack():
            return replace(attempt, end="handed back", ended_at=told.at)
        case AttemptFailed():
            return replace(attempt, end="failed", ended_at=told.at, error=event.error)
        case Finished():
            return replace(attempt, end=str(event.state), ended_at=told.at, error=event.error)
        case TrainingStarted():
            place = place_after(None, event)
            return replace(attempt, began_at=place, place=place)
        case _:
            return replace(attempt, place=place_after(attempt.place, event))
