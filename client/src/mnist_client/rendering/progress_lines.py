"""What goes on right now: the present epoch's bar and what is known of it, or what is waited for; and the curve."""

import time
from collections.abc import Sequence

from mnist_client.rendering import palette
from mnist_client.rendering.output import Paper
from mnist_client.rendering.sparkline import sparkline
from mnist_client.rendering.table import shortened
from mnist_client.rendering.wording import clock, percent
from mnist_shared.contracts.events import (
    AttemptStarted,
    BatchProgress,
    EpochFinished,
    EvaluationStarted,
    Finished,
    TrainingStarted,
)
from mnist_shared.contracts.runs import EpochMetrics

BAR_WIDTH = range(8, 41)  # columns
SPARK_WIDTH = 32
TURNS_PER_SECOND = 8


class ProgressLines:
    """Drawn by one thread while events arrive in another: each draws from attributes that are set in one step."""

    def __init__(self, *, is_unicode: bool, inherited: Sequence[EpochMetrics] = ()) -> None:
        self._is_unicode = is_unicode
        self._full, self._empty, self._frames = ("━", "─", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") if is_unicode else ("#", "-", "|/-\\")
        self._waits_for = ""
        self._batch: BatchProgress | None = None
        self._num_images: int | None = None
        self._worker = ""
        self._epochs = {metrics.epoch: metrics for metrics in inherited}
        self._epoch_seconds = inherited[-1].seconds if inherited else None

    def clear(self) -> None:
        self._waits_for, self._batch = "", None

    def wait(self, what: str) -> None:
        self._batch, self._waits_for = None, what

    def advance(self, event: object) -> None:
        match event:
            case AttemptStarted():
                self._worker = event.worker
                self.wait(f"{event.worker} gets ready")
            case TrainingStarted():
                self._num_images = event.num_images
                self.wait("first batch")
            case EvaluationStarted():
                self.wait(f"evaluating on {event.num_images:,} images")
            case BatchProgress():
                self._batch = event
            case EpochFinished():
                self._epoch_seconds = event.metrics.seconds
                self._epochs = self._epochs | {event.metrics.epoch: event.metrics}
                self.wait("next epoch" if event.metrics.epoch < event.epochs else "saving the model")
            case Finished():
                self.clear()
            case _:
                pass

    def lines(self, paper: Paper) -> list[str]:
        """None, one or two lines within the paper's width."""
        assert paper.width is not None
        batch, waits_for = self._batch, self._waits_for
        if batch is not None:
            first = self._bar(batch, paper, width=paper.width)
        elif waits_for:
            frame = self._frames[int(time.monotonic() * TURNS_PER_SECOND) % len(self._frames)]
            first = paper.paint(frame, fg=palette.ACTIVE) + shortened(
                f" {waits_for}", paper.width - 1, ellipsis=paper.ellipsis
            )
        else:
            return []
        return [first, *self._curve(paper)]

    def _curve(self, paper: Paper) -> list[str]:
        epochs = self._epochs
        if not epochs:
            return []
        losses = [epochs[number].train_loss for number in sorted(epochs)]
        assert paper.width is not None
        words = f"  best {percent(max(metrics.test_accuracy for metrics in epochs.values()))}"
        if len(words) + len(self._worker) + 2 + BAR_WIDTH.start + 5 <= paper.width:
            words += f"  {self._worker}"
        bars = sparkline(losses, width=min(SPARK_WIDTH, paper.width - 5 - len(words)), is_unicode=self._is_unicode)
        return [f"loss {paper.paint(bars, fg=palette.ACTIVE)}{words}"]

    def _bar(self, batch: BatchProgress, paper: Paper, *, width: int) -> str:
        digits = len(str(batch.num_batches))
        before = f"epoch {batch.epoch}/{batch.epochs} "
        after = f" {batch.batch:{digits}}/{batch.num_batches}  loss {batch.loss:.4f}"
        for fact in (f"ETA {clock(self._seconds_left(batch))}", f"{batch.images_per_second:,.0f} images/s"):
            if len(before) + len(after) + len(fact) + 2 + BAR_WIDTH.start <= width:
                after += f"  {fact}"
        room = min(max(width - len(before) - len(after), BAR_WIDTH.start), BAR_WIDTH.stop - 1)
        filled = room * batch.batch // batch.num_batches
        bar = paper.paint(self._full * filled, fg=palette.ACTIVE) + paper.paint(self._empty * (room - filled), dim=True)
        return before + bar + shortened(after, max(width - len(before) - room, 0), ellipsis="")

    def _seconds_left(self, batch: BatchProgress) -> float:
        """Of the whole run: by the last epoch's duration, before there is one by the speed."""
        epochs_left = batch.epochs - batch.epoch + 1 - batch.batch / batch.num_batches
        if self._epoch_seconds is not None:
            return epochs_left * self._epoch_seconds
        images = self._num_images or 60_000
        return epochs_left * images / max(batch.images_per_second, 1e-9)
