"""A run as it goes on: as JSON, as plain lines, or with a live progress line on a terminal."""

import json
from types import TracebackType
from typing import Self, TextIO

from mnist_client.following import ConnectionBack, ConnectionLost, Heard, Quiet
from mnist_client.rendering.output import Output, is_capable_terminal, one_line, width_of
from mnist_client.rendering.wording import epoch_facts, failure, outcome, plural, queue_place, request_title
from mnist_shared.contracts.events import (
    AttemptLost,
    AttemptStarted,
    BatchProgress,
    CancelRequested,
    CheckpointRejected,
    EpochFinished,
    EvaluationStarted,
    Finished,
    HandedBack,
    RunEvent,
    TrainingStarted,
)
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.storage.events import ToldEvent


class FollowView:
    """Plain lines, one an epoch and one for whatever else happens to the run; no control characters."""

    def __init__(self, record: RunRecord, output: Output, *, stream: TextIO) -> None:
        self.record, self.output, self.stream = record, output, stream
        self._queue_line = ""
        self._reached = ""  # the last epoch and batch heard of

    def __enter__(self) -> Self:
        if not self.output.quiet:
            self._print(f"run {self.record.id}: {request_title(self.record.request)}", bold=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, heard: Heard) -> None:
        """Show one thing heard of the run."""
        match heard:
            case ToldEvent(event=event):
                self._show_event(event)
            case ConnectionLost(reason):
                self.note(f"{reason} Waiting for the broker to come back; the run does not need us.")
            case ConnectionBack():
                self.note("The broker is back.")
            case Quiet():
                pass

    def show_queue(self, position: int, *, absence: str | None) -> None:
        """The run waits: say so when anything about it is new. `absence`: what is to be said where no worker is."""
        line = f"queued, {queue_place(position)}" + (f"; {absence}" if absence else "")
        if line != self._queue_line:
            self._queue_line = line
            self.note(line)

    def note(self, text: str) -> None:
        """Something about the following, not about the run: talk."""
        self.output.talk(text)

    def _show_event(self, event: RunEvent) -> None:
        match event:
            case AttemptStarted(attempt=1):
                self._print(f"started by {event.worker}")
            case AttemptStarted():
                self._print(f"taken over by {event.worker} (attempt {event.attempt})", fg="yellow")
            case AttemptLost():
                self._print(f"{event.worker} was lost{self._reached}; the run waits for another worker", fg="yellow")
            case HandedBack():
                self._print(
                    f"{event.worker} stops and hands the run back{self._reached}; it is next in the queue", fg="yellow"
                )
            case CancelRequested():
                self._print("cancel requested", fg="yellow")
            case TrainingStarted():
                self._print(_training_line(event))
            case EvaluationStarted():
                self._print(
                    f"evaluating {event.checkpoint} on {event.num_images:,} images of {event.dataset}, {event.device}"
                )
            case BatchProgress():
                self._reached = f" at epoch {event.epoch}, batch {event.batch}"
            case EpochFinished():
                self._reached = f" after epoch {event.metrics.epoch}"
                self._print(self._epoch_line(event))
            case CheckpointRejected():
                self._print(
                    f"checkpoint {event.file} is passed over ({event.reason}); the one before it is used", fg="yellow"
                )
            case Finished():
                self._show_end(event)
            case _:
                pass

    def _show_end(self, event: Finished) -> None:
        if event.error is not None:
            self._print(f"{event.state}: {failure(event.error)}", fg="red", bold=True)
        elif event.result is not None:
            self._print(f"{event.state}: {outcome(event.result)}", fg="green", bold=True)
        else:
            self._print(f"{event.state}", fg="yellow", bold=True)

    def _epoch_line(self, event: EpochFinished) -> str:
        """As many of the facts as fit into the terminal's width."""
        digits = len(str(event.epochs))
        line, width = f"epoch {event.metrics.epoch:{digits}}/{event.epochs}", width_of(self.stream)
        for fact in epoch_facts(event.metrics):
            if width is not None and len(line) + len(fact) + 2 > width:
                break
            line += f"  {fact}"
        return line

    def _print(self, text: str, *, fg: str | None = None, bold: bool = False) -> None:
        print(self.output.paint(one_line_kept(text), self.stream, fg=fg, bold=bold), file=self.stream, flush=True)


class JsonView(FollowView):
    """NDJSON: each event with its id and its time, nothing else."""

    def __enter__(self) -> Self:
        return self

    def show(self, heard: Heard) -> None:
        if isinstance(heard, ToldEvent):
            line = {"id": heard.id, "at": heard.at.isoformat(), **heard.event.model_dump(mode="json")}
            print(json.dumps(line), file=self.stream, flush=True)
        else:
            super().show(heard)


def make_view(record: RunRecord, output: Output, *, stream: TextIO, as_json: bool) -> FollowView:
    """The view that suits the stream and the user's wishes."""
    if as_json:
        return JsonView(record, output, stream=stream)
    if is_capable_terminal(stream) and not output.quiet:
        from mnist_client.rendering.live import LiveView

        return LiveView(record, output, stream=stream)
    return FollowView(record, output, stream=stream)


def one_line_kept(text: str) -> str:
    """`text` on one line, the spaces that align it kept."""
    return text if text.isprintable() else one_line(text)


def _training_line(event: TrainingStarted) -> str:
    where = f"{event.dataset}, {event.num_images:,} images, {event.device}, {plural(event.num_threads, 'thread')}"
    if event.checkpoint is None:
        return f"training on {where}"
    at = f"epoch {event.epoch}" + (f", batch {event.batch}" if event.batch else "")
    return f"goes on after {at} from {event.checkpoint}: {where}"
