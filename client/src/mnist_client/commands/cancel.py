"""`cancel`: end runs, at once or as soon as their worker hears of it."""

from typing import Annotated

import typer

from mnist_client import options
from mnist_client.context import context_of

WORDS = {
    "cancelled": "cancelled",
    "requested": "cancel requested; its worker stops within seconds",
    "final": "has already ended",
}


def cancel(
    ctx: typer.Context,
    runs: options.Runs,
    force: Annotated[
        bool, typer.Option("--force", help="At once: do not wait for the worker to write a last checkpoint.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Cancel runs. What a training run has learnt so far can be resumed.

    \b
    Example:
      mnist-client cancel last
    """
    import json as json_text

    from mnist_client.rendering.details import can_resume_after_cancel

    context = context_of(ctx, json=json)
    run_ids = list(dict.fromkeys(context.store.resolve(name) for name in runs))  # all known before any is cancelled
    outcomes = []
    for run_id in run_ids:
        outcome = context.store.cancel(run_id, force=force)
        record = context.store.get(run_id)
        outcomes.append({"id": run_id, "outcome": outcome, "state": str(record.state)})
        if context.json:
            continue
        words = f"{WORDS[outcome]}: {record.state}" if outcome == "final" else WORDS[outcome]
        context.output.data(f"{run_id} {words}")
        if can_resume_after_cancel(record):
            context.output.talk(f"to go on with it: {context.command(f'submit resume {run_id}')}")
    if context.json:
        context.output.data(json_text.dumps(outcomes))
