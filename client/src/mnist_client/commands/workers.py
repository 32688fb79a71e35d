"""`workers`: who serves the queue."""

import sys

import typer

from mnist_client import options
from mnist_client.context import context_of


def workers(ctx: typer.Context, json: options.Json = False) -> None:
    """List the workers that are present.

    \b
    Example:
      mnist-client workers
    """
    import json as json_text

    context = context_of(ctx, json=json)
    present = context.registry.present()
    if context.json:
        rows = [{**worker.info.model_dump(mode="json"), "seen_at": worker.seen_at.isoformat()} for worker in present]
        context.output.data(json_text.dumps(rows))
    elif present:
        from mnist_client.rendering.workers import print_workers

        print_workers(present, now=context.now(), output=context.output, stream=sys.stdout)
    elif absence := context.absence():
        context.output.talk(absence)
