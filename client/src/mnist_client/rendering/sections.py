"""The tables within a run's details: attempts, checkpoints, epochs."""

from collections.abc import Sequence
from datetime import datetime

from mnist_client.history import Attempt, History
from mnist_client.rendering import palette
from mnist_client.rendering.output import one_line
from mnist_client.rendering.table import Cell, Column
from mnist_client.rendering.wording import brief, num_bytes, percent, place_in_training
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics

END_COLOURS = {"succeeded": palette.GOOD, "failed": palette.BAD, "lost": palette.NOTICE, "handed back": palette.NOTICE}
ERROR_WIDTH = 24  # to which an attempt's error is cut before a column goes


def attempt_columns(history: History, *, now: datetime) -> list[Column]:
    """A row an attempt: who, when, for how long, how it ended and where."""
    attempts = history.attempts
    return [
        Column("ATTEMPT", [Cell(str(one.number)) for one in attempts], importance=7, right=True),
        Column("WORKER", [Cell(one.worker) for one in attempts], importance=8),
        Column("STARTED", [Cell(f"{one.started_at.astimezone():%m-%d %H:%M:%S}") for one in attempts], importance=3),
        Column("TOOK", [Cell(_took(one, now=now)) for one in attempts], importance=4, right=True),
        Column("FROM", [Cell(_from(one)) for one in attempts], importance=2),
        Column("END", [Cell(one.end or "running", fg=END_COLOURS.get(one.end)) for one in attempts], importance=9),
        Column("AT", [Cell(_at(one)) for one in attempts], importance=5),
        Column("ERROR", [Cell(_error(one)) for one in attempts], importance=1, shrinks_to=ERROR_WIDTH),
    ]


def _took(attempt: Attempt, *, now: datetime) -> str:
    return brief(((attempt.ended_at or now) - attempt.started_at).total_seconds())


def _from(attempt: Attempt) -> str:
    place = attempt.began_at
    return place_in_training(place.epoch, place.batch, place.num_batches) if place is not None else ""


def _at(attempt: Attempt) -> str:
    place = attempt.place
    return place_in_training(place.epoch, place.batch, place.num_batches) if place is not None else ""


def _error(attempt: Attempt) -> str:
    return one_line(attempt.error.message) if attempt.error is not None else ""


def checkpoint_columns(checkpoints: Sequence[CheckpointRef], *, last: CheckpointRef | None) -> list[Column]:
    """A row a checkpoint; `last` is the one from which a run goes on."""
    return [
        Column("FILE", [Cell(one.file) for one in checkpoints], importance=9),
        Column("AFTER", [Cell(_after(one)) for one in checkpoints], importance=7),
        Column("ATTEMPT", [Cell(str(one.attempt)) for one in checkpoints], importance=2, right=True),
        Column("SIZE", [Cell(num_bytes(one.num_bytes)) for one in checkpoints], importance=5, right=True),
        Column("SHA-256", [Cell(one.sha256[:16]) for one in checkpoints], importance=3),
        Column("", [Cell("last" if last and one.file == last.file else "") for one in checkpoints], importance=4),
    ]


def _after(checkpoint: CheckpointRef) -> str:
    if not checkpoint.batch:
        return f"epoch {checkpoint.epoch}"
    return f"epoch {checkpoint.epoch}, batch {checkpoint.batch}"


def epoch_columns(epochs: Sequence[EpochMetrics]) -> list[Column]:
    """A row an epoch."""

    def numbers(title: str, texts: Sequence[str], importance: float) -> Column:
        return Column(title, [Cell(text) for text in texts], importance=importance, right=True)

    validation = ["" if one.validation_accuracy is None else percent(one.validation_accuracy) for one in epochs]
    return [
        numbers("EPOCH", [str(one.epoch) for one in epochs], 9),
        numbers("ACCURACY", [percent(one.test_accuracy) for one in epochs], 8),
        numbers("VALIDATION", validation, 5),
        numbers("TRAIN LOSS", [f"{one.train_loss:.4f}" for one in epochs], 7),
        numbers("TEST LOSS", [f"{one.test_loss:.4f}" for one in epochs], 6),
        numbers("TIME", [f"{one.seconds:.1f} s" for one in epochs], 4),
        numbers("IMAGES/S", [f"{one.images_per_second:,.0f}" for one in epochs], 3),
        numbers("LR", [f"{one.lr:.3g}" for one in epochs], 2),
    ]
