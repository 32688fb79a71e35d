"""Why a run waits, for how long, and what stands in its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_shared.contracts.runs import RunRecord, RunState

if TYPE_CHECKING:
    from datetime import datetime

    from mnist_client.context import CommandContext
    from mnist_shared.storage.workers import PresentWorker

RESTLESS_ATTEMPTS = 2  # that ended without a new checkpoint: a third may well end so too
VANISHED_WITHIN_SECONDS = 600.0
MANY_VANISHED = 2  # within that time: workers that crash again and again


@dataclass(frozen=True)
class Prospect:
    """What is to be said of a queued run."""

    position: int | None = None  # runs that are served before it; None: it is not in the queue
    starts: float | None = None  # seconds from now; None: not known
    ends: float | None = None
    waits_for: str | None = None  # the run that has to succeed before: its name, id and state
    obstacle: str | None = None  # why it will not start by itself, or may not, and what to type


def load_prospect(context: "CommandContext", record: RunRecord) -> Prospect:
    """How things stand for `record`, which is queued."""
    from mnist_client.overview import load_prospects

    position = None if record.waits_for else context.store.position(record.id)
    if position is None and record.waits_for is None:
        return Prospect()  # somebody has just claimed it
    workers, now = context.registry.present(), context.now()
    outlook = load_prospects(context, [record], workers=workers, now=now)
    obstacle = _obstacle(context, record, workers=workers, now=now)
    return Prospect(
        position=position,
        starts=None if obstacle else outlook.starts.get(record.id),
        ends=None if obstacle else outlook.ends.get(record.id),
        waits_for=_other_run(context, record.waits_for) if record.waits_for else None,
        obstacle=obstacle,
    )


def _other_run(context: "CommandContext", run_id: str) -> str:
    from mnist_client.rendering.status import progress_words
    from mnist_shared.storage.serving import read_records

    record = read_records(context.store, [run_id]).get(run_id)
    if record is None:
        return f"run {run_id}"
    progress = f" {progress_words(record)}" if record.state is RunState.RUNNING else ""
    return f"{record.options.name or 'run'} ({run_id}), which is {record.state}{progress}"


def _obstacle(
    context: "CommandContext", record: RunRecord, *, workers: "Sequence[PresentWorker]", now: "datetime"
) -> str | None:
    from mnist_client.rendering.wording import age, plural

    look = f"See `{context.command('workers')}`."
    paused = context.queue.view().paused
    if paused is not None:
        since = age((now - paused).total_seconds())
        return f"the queue is paused for {since}: nothing starts until `{context.command('queue resume')}`."
    if record.attempts_without_checkpoint >= RESTLESS_ATTEMPTS:
        return (
            f"{record.attempts_without_checkpoint} attempts have ended without a new checkpoint: does it crash its "
            f"workers? See `{context.command(f'logs {record.id}')}` and `{context.command('workers')}`."
        )
    lost = [one for one in context.registry.lost() if (now - one.seen_at).total_seconds() < VANISHED_WITHIN_SECONDS]
    if not workers:
        absence = context.absence() or "no worker is present."
        if not lost:
            return absence
        newest = max(lost, key=lambda one: one.seen_at)
        since = age((now - newest.seen_at).total_seconds())
        return f"{absence} {newest.info.name} vanished {since} ago. {look}"
    if all(worker.info.state in ("drained", "draining") for worker in workers):
        name = workers[0].info.name
        return f"every worker is drained: none takes a run until `{context.command(f'workers undrain {name}')}`."
    if len(lost) >= MANY_VANISHED and not any(worker.info.state == "idle" for worker in workers):
        return f"{plural(len(lost), 'worker')} vanished in the last ten minutes: they may crash. {look}"
    return None
