"""The first lines about a run: label, text, colour."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from mnist_client.rendering import palette
from mnist_client.rendering.next_steps import as_typed, differences
from mnist_client.rendering.output import Paper
from mnist_client.rendering.sparkline import sparkline
from mnist_client.rendering.status import best_accuracy
from mnist_client.rendering.wording import (
    brief,
    duration,
    epoch_facts,
    failure,
    model_file,
    normalised_as,
    outcome,
    percent,
    plural,
    queue_place,
    request_title,
    when,
)
from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, ModelFile
from mnist_shared.contracts.runs import EvaluateResult, RunRecord, RunResult, RunState

if TYPE_CHECKING:
    from mnist_client.portrait import Portrait

Fact = tuple[str, str, str | None]
SPARK_WIDTH = 32


def facts(portrait: "Portrait", paper: Paper) -> Iterator[Fact]:
    """What the record says."""
    record, now = portrait.record, portrait.now
    yield "run", f"{record.options.name} ({record.id})" if record.options.name else record.id, None
    yield "request", request_title(record.request), None
    yield from _options(record)
    yield "state", _state(portrait), palette.STATE_COLOURS[record.state]
    yield "submitted", when(record.submitted_at, now=now), None
    if record.started_at is not None:
        waited = (record.started_at - record.submitted_at).total_seconds()
        yield "started", f"{when(record.started_at, now=now)}, after {duration(waited)} in the queue", None
    if record.finished_at is not None:
        took = (record.finished_at - (record.started_at or record.submitted_at)).total_seconds()
        yield "ended", f"{when(record.finished_at, now=now)}, after {duration(took)}", None
    yield from _how_far(portrait, paper)
    if isinstance(record.request, EvaluateRequest) and record.request.file is not None:
        yield from _model_file(record.request.file, record.result)
    else:
        yield from _configuration(record.request.config)
    if record.result is not None:
        yield "result", outcome(record.result), palette.GOOD
        report = record.result.report if isinstance(record.result, EvaluateResult) else None
        if report is not None and report.normalisation is not None:
            yield "normalised as", normalised_as(report.normalisation), None
        if record.result.kind == "train" and record.result.model_file:
            yield "model", f"{record.result.model_file} (weights {record.result.weights_sha256[:12]})", None
    if record.error is not None:
        is_why = record.state.is_final
        yield ("error" if is_why else "last attempt"), failure(record.error), palette.BAD if is_why else palette.NOTICE


def _options(record: RunRecord) -> Iterator[Fact]:
    options = record.options
    if options.tags:
        yield "tags", ", ".join(options.tags), None
    if options.priority != "normal":
        yield "priority", options.priority, None
    if options.after is not None:
        yield "after", f"run {options.after}", None
    if options.retry_of is not None:
        yield "retry of", f"run {options.retry_of}", None
    if options.retries:
        used = f", {record.failures} used" if record.failures else ""
        yield "retries", f"{options.retries}{used}", None


def _state(portrait: "Portrait") -> str:
    record, prospect = portrait.record, portrait.prospect
    if record.state is RunState.RUNNING:
        words = f"running on {record.worker}"
        if portrait.ends is not None:
            words += f", {_until(portrait, portrait.ends, 'ends')}"
        return f"{words}, cancel requested" if record.cancel_requested else words
    if record.state is not RunState.QUEUED or prospect is None:
        return str(record.state)
    words = "queued"
    if prospect.waits_for is not None:
        words += f", waits for {prospect.waits_for}"
    if prospect.position is not None:
        words += f", {queue_place(prospect.position)}"
    if prospect.starts is not None:
        words += f", {_until(portrait, prospect.starts, 'starts')}"
    if prospect.ends is not None:
        words += f", {_until(portrait, prospect.ends, 'ends')}"
    return words


def _until(portrait: "Portrait", seconds: float, verb: str) -> str:
    if seconds < 1:
        return f"{verb} now"
    at = (portrait.now + timedelta(seconds=seconds)).astimezone()
    return f"{verb} in about {brief(seconds)} ({at:%H:%M})"


def _how_far(portrait: "Portrait", paper: Paper) -> Iterator[Fact]:
    record = portrait.record
    progress = record.progress
    if progress is None:
        return
    words = f"{progress.epoch} of {plural(progress.epochs, 'epoch')}"
    if not record.state.is_final and progress.epoch < progress.epochs:
        words += f", batch {progress.batch} of {progress.num_batches} ({100 * progress.batch // progress.num_batches}%)"
        if progress.loss is not None:
            words += f", loss {progress.loss:.4f}"
        if progress.images_per_second is not None:
            words += f", {progress.images_per_second:,.0f} images/s"
    yield "progress", words, None
    if progress.losses:
        bars = sparkline(progress.losses, width=SPARK_WIDTH, is_unicode=paper.is_unicode)
        yield "loss", f"{bars}  {progress.losses[0]:.4f} to {progress.losses[-1]:.4f}", None
    accuracy = best_accuracy(record)
    if accuracy is not None and not portrait.history.epochs:
        yield "best", percent(accuracy), None
    elif accuracy is not None:
        best = max(portrait.history.epochs, key=lambda metrics: metrics.test_accuracy)
        at = f" after epoch {best.epoch}" if best.test_accuracy == accuracy else ""
        yield "best", f"{percent(accuracy)}{at}", None
    if progress.last_epoch is not None and not portrait.history.epochs:
        yield "last epoch", f"{progress.last_epoch.epoch}: {', '.join(epoch_facts(progress.last_epoch))}", None


def _model_file(file: ModelFile, result: RunResult | None) -> Iterator[Fact]:
    yield "model file", f"SHA-256 {file.sha256}", None
    if isinstance(result, EvaluateResult) and result.file is not None:
        yield "is", model_file(result.file), None


def _configuration(config: TrainConfig) -> Iterator[Fact]:
    typed = as_typed(config)
    yield "configuration", f"{' '.join(typed)} (the rest: defaults)" if typed else "all defaults", None
    of_preset = differences(PRESETS[config.preset], TrainConfig())
    if of_preset:
        yield "of the preset", " ".join(of_preset), None
