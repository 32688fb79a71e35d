"""A run of one batch, end to end: submitted, claimed, trained, told, and its files seen."""

import time
from collections.abc import Iterator
from datetime import datetime

from mnist_client.context import CommandContext
from mnist_client.diagnosis.finding import Finding, broken, ok, warning
from mnist_client.diagnosis.volume import sharing
from mnist_client.following import follow_run
from mnist_client.rendering.wording import duration, failure
from mnist_shared.contracts.config import make_train_config
from mnist_shared.contracts.events import AttemptStarted, Finished, Submitted
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import CANARY_TAG, RunState, SubmitOptions
from mnist_shared.storage.events import ToldEvent
from mnist_shared.volume.run_folder import RunFolder

LOOK_MS = 100


def check_canary(context: CommandContext, *, timeout_seconds: float) -> Iterator[Finding]:
    """Send it before all others; take it back when it is not begun, or not ended, in that time."""
    request = TrainRequest(config=make_train_config(dataset="digits", dry_run=True))
    run_id = context.store.submit(request, options=SubmitOptions(tags=(CANARY_TAG,), priority="high")).run_id
    told: dict[type, datetime] = {}
    worker, finished = "", None
    deadline = time.monotonic() + timeout_seconds
    try:
        for heard in follow_run(context.store, context.events, run_id, block_ms=LOOK_MS):
            if isinstance(heard, ToldEvent):
                told.setdefault(type(heard.event), heard.at)
                if isinstance(heard.event, AttemptStarted):
                    worker, deadline = heard.event.worker, time.monotonic() + timeout_seconds
                elif isinstance(heard.event, Finished):
                    finished = heard.event
            if time.monotonic() > deadline:
                break
    finally:
        if finished is None:  # also on Ctrl-C: it is nobody's run
            context.store.cancel(run_id, force=True)
    if finished is None:
        yield _overdue(context, run_id, worker=worker, seconds=timeout_seconds)
        return
    if finished.state is not RunState.SUCCEEDED:
        why = failure(finished.error) if finished.error is not None else f"it was {finished.state}"
        yield broken("canary", f"run {run_id} on {worker}: {why}", f"See `{context.command(f'status {run_id}')}`.")
        return
    waited = (told[AttemptStarted] - told[Submitted]).total_seconds()
    took = (told[Finished] - told[AttemptStarted]).total_seconds()
    yield ok("canary", f"one batch on {worker}: begun after {1000 * waited:.0f} ms, done {duration(took)} later")
    yield sharing(context, is_here=RunFolder(context.settings.runs_dir, run_id).run_file.is_file())


def _overdue(context: CommandContext, run_id: str, *, worker: str, seconds: float) -> Finding:
    if worker:
        return broken(
            "canary",
            f"{worker} began run {run_id}, and did not end it in {seconds:g} s",
            f"See `{context.command(f'logs {run_id}')}` and the worker's own log.",
        )
    infos = [one.info for one in context.registry.present()]
    if infos and all(info.state == "busy" for info in infos):
        return warning(
            "canary",
            f"not begun in {seconds:g} s: all workers are busy; it was taken back",
            "Wait longer with --timeout, or start another worker.",
        )
    return broken(
        "canary",
        f"not begun in {seconds:g} s; it was taken back",
        f"See `{context.command('workers')}` and the logs of those that are idle: do they reach this broker?",
    )
