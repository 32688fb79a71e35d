"""The progress line of `follow` on a terminal: drawn by Rich, below the lines that stay."""

import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from mnist_client.following import ConnectionBack, ConnectionLost, Heard
from mnist_client.rendering.follow import FollowView, one_line_kept
from mnist_client.rendering.output import Output, is_unicode
from mnist_client.rendering.wording import clock, queue_place
from mnist_shared.contracts.events import (
    AttemptStarted,
    BatchProgress,
    EpochFinished,
    EvaluationStarted,
    TrainingStarted,
)
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.storage.events import ToldEvent

FRAMES_PER_SECOND = 8
BAR_WIDTH = range(8, 41)  # columns


class LiveView(FollowView):
    """Lines that stay, and under them what goes on right now."""

    def __init__(self, record: RunRecord, output: Output, *, stream: TextIO) -> None:
        super().__init__(record, output, stream=stream)
        self._console = Console(file=stream, no_color=not output.colors(stream), highlight=False, soft_wrap=False)
        self._absence: str | None = None
        self._line = ProgressLine(is_unicode=is_unicode(stream))
        self._live = Live(self._line, console=self._console, refresh_per_second=FRAMES_PER_SECOND, transient=True)

    def __enter__(self) -> Self:
        super().__enter__()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.clear()
        self._live.stop()

    def show(self, heard: Heard) -> None:
        match heard:
            case ToldEvent(event=event):
                self._line.advance(event)
            case ConnectionLost():
                self._line.wait("waiting for the broker")
            case ConnectionBack():
                self._line.clear()
        super().show(heard)

    def show_queue(self, position: int, *, absence: str | None) -> None:
        if absence and absence != self._absence:
            self.note(absence)
        self._absence = absence
        self._line.wait(f"queued, {queue_place(position)}")

    def note(self, text: str) -> None:
        self._print(text, fg="yellow")

    def _print(self, text: str, *, fg: str | None = None, bold: bool = False) -> None:
        style = " ".join(word for word in ("bold" if bold else "", fg or "") if word)
        self._console.print(Text(one_line_kept(text), style=style))


class ProgressLine:
    """One line: the bar of the present epoch with what is known of it, or what is waited for.

    Drawn by Rich's thread while events arrive in another: each draws from one attribute, set in one step.
    """

    def __init__(self, *, is_unicode: bool) -> None:
        self._full, self._empty, self._frames = ("━", "─", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") if is_unicode else ("#", "-", "|/-\\")
        self._waits_for = ""
        self._batch: BatchProgress | None = None
        self._num_images: int | None = None
        self._epoch_seconds: float | None = None

    def clear(self) -> None:
        self._waits_for, self._batch = "", None

    def wait(self, what: str) -> None:
        self._batch, self._waits_for = None, what

    def advance(self, event: object) -> None:
        match event:
            case AttemptStarted():
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
                self.wait("next epoch" if event.metrics.epoch < event.epochs else "saving the model")
            case _:
                self.clear()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        batch, waits_for = self._batch, self._waits_for
        width = options.max_width - 1
        if batch is not None:
            yield self._bar(batch, width=width)
        elif waits_for:
            frame = self._frames[int(time.monotonic() * FRAMES_PER_SECOND) % len(self._frames)]
            yield Text(f"{frame} {waits_for}"[:width], style="cyan", no_wrap=True)

    def _bar(self, batch: BatchProgress, *, width: int) -> Text:
        digits = len(str(batch.num_batches))
        before = f"epoch {batch.epoch}/{batch.epochs} "
        after = f" {batch.batch:{digits}}/{batch.num_batches}  loss {batch.loss:.4f}"
        for fact in (f"ETA {clock(self._seconds_left(batch))}", f"{batch.images_per_second:,.0f} images/s"):
            if len(before) + len(after) + len(fact) + 2 + BAR_WIDTH.start <= width:
                after += f"  {fact}"
        room = min(max(width - len(before) - len(after), BAR_WIDTH.start), BAR_WIDTH.stop - 1)
        filled = room * batch.batch // batch.num_batches
        line = Text(no_wrap=True, overflow="crop")
        line.append(before)
        line.append(self._full * filled, style="cyan")
        line.append(self._empty * (room - filled), style="bright_black")
        line.append(after)
        return line

    def _seconds_left(self, batch: BatchProgress) -> float:
        """Of the whole run: by the last epoch's duration, before there is one by the speed."""
        epochs_left = batch.epochs - batch.epoch + 1 - batch.batch / batch.num_batches
        if self._epoch_seconds is not None:
            return epochs_left * self._epoch_seconds
        images = self._num_images or 60_000
        return epochs_left * images / max(batch.images_per_second, 1e-9)
