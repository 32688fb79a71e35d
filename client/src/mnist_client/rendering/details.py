"""One run in detail: what was asked for, how far it is, how it ended, and what to type next."""

import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TextIO

from mnist_client.rendering.output import Output, one_line, width_of
from mnist_client.rendering.status import STATE_COLOURS
from mnist_client.rendering.wording import (
    duration,
    epoch_facts,
    failure,
    num_bytes,
    outcome,
    plural,
    queue_place,
    request_title,
    when,
)
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest
from mnist_shared.contracts.runs import RunRecord, RunState

LABEL_WIDTH = 15
MIN_WIDTH = 20  # of a value; a terminal narrower than both together wraps by itself


def print_details(
    record: RunRecord,
    *,
    position: int | None,
    now: datetime,
    command: Callable[[str], str],
    output: Output,
    stream: TextIO,
) -> None:
    """All that the record says. `command` makes a command line out of its words."""
    lines, width = [], width_of(stream)
    for label, text, fg in _facts(record, position=position, now=now):
        text = one_line(text)
        parts = [text] if width is None else textwrap.wrap(text, max(width - LABEL_WIDTH, MIN_WIDTH))
        for part in parts:
            lines.append(output.paint(label.ljust(LABEL_WIDTH), stream, bold=True) + output.paint(part, stream, fg=fg))
            label = ""
    output.data("\n".join(lines))
    for words in next_commands(record):
        output.talk(f"  {command(words)}")


def _facts(record: RunRecord, *, position: int | None, now: datetime) -> Iterator[tuple[str, str, str | None]]:
    yield "run", record.id, None
    yield "request", request_title(record.request), None
    yield "state", _state(record, position=position), STATE_COLOURS[record.state]
    yield "submitted", when(record.submitted_at, now=now), None
    if record.started_at is not None:
        waited = (record.started_at - record.submitted_at).total_seconds()
        yield "started", f"{when(record.started_at, now=now)}, after {duration(waited)} in the queue", None
    if record.finished_at is not None:
        took = (record.finished_at - (record.started_at or record.submitted_at)).total_seconds()
        yield "ended", f"{when(record.finished_at, now=now)}, after {duration(took)}", None
    if record.attempt:
        yield "attempts", _attempts(record), None
    yield from _how_far(record)
    yield "configuration", _configuration(record.request.config), None
    if record.result is not None:
        yield "result", outcome(record.result), "green"
        yield "device", record.result.device, None
        if record.result.kind == "train" and record.result.model_file:
            yield "model", f"{record.result.model_file} (weights {record.result.weights_sha256[:12]})", None
    if record.error is not None:
        is_why = record.state is RunState.FAILED
        yield ("error" if is_why else "last attempt"), failure(record.error), "red" if is_why else "yellow"


def _how_far(record: RunRecord) -> Iterator[tuple[str, str, str | None]]:
    progress = record.progress
    if progress is not None:
        words = f"{progress.epoch} of {plural(progress.epochs, 'epoch')}"
        if not record.state.is_final and progress.epoch < progress.epochs:
            words += (
                f", batch {progress.batch} of {progress.num_batches} ({100 * progress.batch // progress.num_batches}%)"
            )
            if progress.loss is not None:
                words += f", loss {progress.loss:.4f}"
            if progress.images_per_second is not None:
                words += f", {progress.images_per_second:,.0f} images/s"
        yield "progress", words, None
        if progress.last_epoch is not None:
            yield "last epoch", f"{progress.last_epoch.epoch}: {', '.join(epoch_facts(progress.last_epoch))}", None
    if record.checkpoint is not None:
        at = f"epoch {record.checkpoint.epoch}" + (
            f", batch {record.checkpoint.batch}" if record.checkpoint.batch else ""
        )
        yield "checkpoint", f"{record.checkpoint.file} (after {at}; {num_bytes(record.checkpoint.num_bytes)})", None


def _state(record: RunRecord, *, position: int | None) -> str:
    if record.state is RunState.QUEUED and position is not None:
        return f"queued, {queue_place(position)}"
    if record.state is RunState.RUNNING:
        words = f"running on {record.worker}"
        return f"{words}, cancel requested" if record.cancel_requested else words
    return str(record.state)


def _configuration(config: TrainConfig) -> str:
    options = non_defaults(config)
    return f"{' '.join(options)} (the rest: defaults)" if options else "all defaults"


def _attempts(record: RunRecord) -> str:
    words = f"{record.attempt}"
    if record.state is not RunState.RUNNING and record.worker:
        words += f", the last on {record.worker}"
    return words


def non_defaults(config: TrainConfig) -> list[str]:
    """The options that differ from their defaults, as they would be typed."""
    found = []
    for name, field in TrainConfig.model_fields.items():
        value, option = getattr(config, name), name.replace("_", "-")
        if value == field.default:
            continue
        if isinstance(value, bool):
            found.append(f"--{option}" if value else f"--no-{option}")
        else:
            found.append(f"--{option} {value}")
    return found


def next_commands(record: RunRecord) -> list[str]:
    """What one probably wants to type next, after `mnist-client`."""
    trains = not isinstance(record.request, EvaluateRequest)
    if record.state in (RunState.QUEUED, RunState.RUNNING):
        return [f"follow {record.id}", f"cancel {record.id}"]
    if not trains or record.checkpoint is None:
        return []
    if record.state is RunState.SUCCEEDED:
        return [f"evaluate {record.id}", f"submit resume {record.id} --epochs {2 * record.request.config.epochs}"]
    return [f"submit resume {record.id}"]


def can_resume_after_cancel(record: RunRecord) -> bool:
    """Whether a cancelled run can be gone on with: it has a checkpoint, or its worker will leave one."""
    if isinstance(record.request, EvaluateRequest) or record.state is RunState.SUCCEEDED:
        return False
    if record.checkpoint is not None:
        return True
    config = record.request.config
    will_save = record.state is RunState.RUNNING and record.progress is not None
    return will_save and config.save_model and not config.dry_run
