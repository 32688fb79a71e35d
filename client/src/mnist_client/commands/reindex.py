"""`reindex`: make run records again from the shared volume, after Redis has lost them."""

import typer

from mnist_client import options
from mnist_client.context import context_of

SHOWN = 10  # ids of runs that are queued again


def reindex(ctx: typer.Context, json: options.Json = False) -> None:
    """Rebuild lost run records from the storage folder.

    Runs that had ended come back with their results and events; runs that had not are queued again and go on from
    their last checkpoint. A run that has a record is left alone, so this may be repeated.

    \b
    Example:
      mnist-client reindex
      mnist-client --storage /mnt/mnist reindex
    """
    import json as json_text
    from dataclasses import asdict

    from mnist_client.rendering.wording import plural
    from mnist_shared.storage.reindex import reindex as rebuild

    context = context_of(ctx, json=json)
    found = rebuild(context.store, context.settings.runs_dir)
    for run_id, reason in found.unreadable.items():
        context.output.warn(f"{run_id} is passed over: {reason}")
    if context.json:
        context.output.data(json_text.dumps(asdict(found)))
        return
    context.output.data(
        f"{plural(len(found.restored), 'run')} restored, {len(found.requeued)} queued again, "
        f"{len(found.known)} had a record"
    )
    if found.requeued:
        names = ", ".join(found.requeued[:SHOWN]) + (", ..." if len(found.requeued) > SHOWN else "")
        context.output.talk(f"queued again, each from its last checkpoint: {names}")
    if found.restored or found.requeued:
        context.output.talk(f"  {context.command('status')}")
