"""A run as it goes on: as JSON, as plain lines, or (rendering.live) with a progress bar on a terminal."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TextIO

from mnist_client.following import ConnectionBack, ConnectionLost, Heard, Quiet
from mnist_client.history import Place, place_after
from mnist_client.prospects import Prospect
from mnist_client.rendering import palette
from mnist_client.rendering.output import Output, is_capable_terminal, one_line_kept, width_of
from mnist_client.rendering.wording import (
    brief,
    epoch_facts,
    failure,
    outcome,
    place_in_training,
    plural,
    queue_place,
    request_title,
)
from mnist_shared.contracts.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    CancelRequested,
    CheckpointRejected,
    EpochFinished,
    EvaluationStarted,
    Finished,
    HandedBack,
    RunEvent,
    TrainingStarted,
)
from mnist_shared.contracts.runs import EpochMetrics, RunRecord
from mnist_shared.storage.events import ToldEvent

Recovery = AttemptLost | HandedBack | AttemptFailed


@dataclass(frozen=True)
class Inheritance:
    """The epochs of the runs that this one goes on from."""

    parent: str  # its name and id
    epochs: Sequence[EpochMetrics]


class FollowView:
    """Plain lines, one an epoch and one for whatever else happens to the run; no control characters."""

    def __init__(
        self, record: RunRecord, output: Output, *, stream: TextIO, inheritance: Inheritance | None = None
    ) -> None:
        self.record, self.output, self.stream, self.inheritance = record, output, stream, inheritance
        self.waits_with = ""  # why the run waits again
        self._queue_line = ""
        self._place: Place | None = None  # the last one heard of
        self._recovery: Recovery | None = None  # not told yet: with luck the next line says who goes on

    def __enter__(self) -> Self:
        if not self.output.quiet:
            name = f" ({self.record.options.name})" if self.record.options.name else ""
            self._print(f"run {self.record.id}{name}: {request_title(self.record.request)}", bold=True)
        if self.inheritance is not None:
            self._print(f"goes on from {self.inheritance.parent}:", dim=True)
            for metrics in self.inheritance.epochs:
                self._print(self._epoch_line(metrics, epochs=self.record.request.config.epochs), dim=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell_recovery()

    def show(self, heard: Heard) -> None:
        """Show one thing heard of the run."""
        match heard:
            case ToldEvent(event=event):
                if not isinstance(event, AttemptStarted):
                    self._tell_recovery()
                self._show_event(event)
            case ConnectionLost(reason):
                self.note(f"{reason} Waiting for the broker to come back; the run does not need us.")
            case ConnectionBack():
                self.note("The broker is back.")
            case Quiet():
                self._tell_recovery()

    def show_prospect(self, prospect: Prospect) -> None:
        """The run waits: say so when anything about it is new, the time excepted."""
        line = prospect_words(prospect, with_times=False) + (f"; {prospect.obstacle}" if prospect.obstacle else "")
        if line != self._queue_line:
            self._queue_line = line
            full = prospect_words(prospect) + (f"; {prospect.obstacle}" if prospect.obstacle else "")
            self.note(full.removeprefix("; "))

    def note(self, text: str) -> None:
        """Something about the following, not about the run: talk."""
        self.output.talk(text)

    def recovery_words(self, event: Recovery) -> str:
        """Whom the run lost, how, and where."""
        where = f" at {_words(self._place)}" if self._place is not None else " before training began"
        match event:
            case AttemptLost():
                return f"{event.worker} lost{where}"
            case HandedBack():
                return f"{event.worker} stopped and handed the run back{where}"
            case AttemptFailed():
                return f"attempt {event.attempt} failed on {event.worker}{where}: {failure(event.error).rstrip('.')}"

    def _show_event(self, event: RunEvent) -> None:
        self._place = place_after(self._place, event)
        match event:
            case AttemptStarted():
                self._show_start(event)
            case AttemptLost() | HandedBack() | AttemptFailed():
                self._recovery = event
            case CancelRequested():
                self._print("cancel requested", fg=palette.NOTICE)
            case TrainingStarted():
                self._print(_training_line(event))
            case EvaluationStarted():
                self._print(
                    f"evaluating {event.checkpoint} on {event.num_images:,} images of {event.dataset}, {event.device}"
                )
            case EpochFinished():
                self._print(self._epoch_line(event.metrics, epochs=event.epochs))
            case CheckpointRejected():
                self._print(
                    f"checkpoint {event.file} is passed over ({event.reason}); the one before it is used",
                    fg=palette.NOTICE,
                )
            case Finished():
                self._show_end(event)
            case _:
                pass

    def _show_start(self, event: AttemptStarted) -> None:
        recovery, self._recovery, self.waits_with = self._recovery, None, ""
        again = f"by {event.worker} (attempt {event.attempt})"
        if recovery is not None:
            self._print(f"{self.recovery_words(recovery)}, resumed {again}", fg=palette.NOTICE)
        elif event.attempt > 1:
            self._print(f"resumed {again}", fg=palette.NOTICE)
        else:
            self._print(f"started by {event.worker}")
        self._place = None

    def _tell_recovery(self) -> None:
        """Nobody has gone on with the run yet: say at least that it was lost."""
        if self._recovery is not None:
            words, self._recovery = self.recovery_words(self._recovery), None
            self._print(f"{words}; the run waits for a worker", fg=palette.NOTICE)

    def _show_end(self, event: Finished) -> None:
        if event.error is not None:
            self._print(f"{event.state}: {failure(event.error)}", fg=palette.BAD, bold=True)
        elif event.result is not None:
            self._print(f"{event.state}: {outcome(event.result)}", fg=palette.GOOD, bold=True)
        else:
            self._print(f"{event.state}", fg=palette.NOTICE, bold=True)

    def _epoch_line(self, metrics: EpochMetrics, *, epochs: int) -> str:
        """As many of the facts as fit into the terminal's width."""
        digits = len(str(epochs))
        line, width = f"epoch {metrics.epoch:{digits}}/{epochs}", width_of(self.stream)
        for fact in epoch_facts(metrics):
            if width is not None and len(line) + len(fact) + 2 > width:
                break
            line += f"  {fact}"
        return line

    def _print(self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> None:
        print(
            self.output.paint(one_line_kept(text), self.stream, fg=fg, bold=bold, dim=dim), file=self.stream, flush=True
        )


class JsonView(FollowView):
    """NDJSON: each event with its id and its time, nothing else."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, heard: Heard) -> None:
        if isinstance(heard, ToldEvent):
            line = {"id": heard.id, "at": heard.at.isoformat(), **heard.event.model_dump(mode="json")}
            print(json.dumps(line), file=self.stream, flush=True)
        else:
            super().show(heard)


def make_view(
    record: RunRecord, output: Output, *, stream: TextIO, as_json: bool, inheritance: Inheritance | None = None
) -> FollowView:
    """The view that suits the stream and the user's wishes."""
    if as_json:
        return JsonView(record, output, stream=stream)
    if is_capable_terminal(stream) and not output.quiet:
        from mnist_client.rendering.live import LiveView

        return LiveView(record, output, stream=stream, inheritance=inheritance)
    return FollowView(record, output, stream=stream, inheritance=inheritance)


def prospect_words(prospect: Prospect, *, with_times: bool = True) -> str:
    """Where a queued run stands; empty when it is just being started."""
    if prospect.waits_for is not None:
        words = f"waits for {prospect.waits_for}"
    elif prospect.position is not None:
        words = f"queued, {queue_place(prospect.position)}"
    else:
        return ""
    if with_times and prospect.starts is not None and prospect.starts >= 1:
        words += f", starts in about {brief(prospect.starts)}"
    return words


def _words(place: Place) -> str:
    return place_in_training(place.epoch, place.batch, place.num_batches)


def _training_line(event: TrainingStarted) -> str:
    where = f"{event.dataset}, {event.num_images:,} images, {event.device}, {plural(event.num_threads, 'thread')}"
    if event.checkpoint is None:
        return f"training on {where}"
    at = f"epoch {event.epoch}" + (f", batch {event.batch}" if event.batch else "")
    return f"goes on after {at} from {event.checkpoint}: {where}"
