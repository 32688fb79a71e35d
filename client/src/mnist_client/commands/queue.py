"""`queue`: how many runs wait, and what was found in the queue that is no message."""

from typing import Annotated

import typer

from mnist_client import options
from mnist_client.context import context_of


def queue(
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, help="How many quarantined messages to show.")
    ] = 10,
    json: options.Json = False,
) -> None:
    """Show the queue: its depth, how long its head has waited, and the quarantine.

    What is found in the broker's list and is no message of this project never reaches a worker; it is put aside here,
    with a reason.

    \b
    Example:
      mnist-client queue
    """
    import json as json_text

    from mnist_client.rendering.output import one_line
    from mnist_client.rendering.wording import age, plural

    context = context_of(ctx, json=json)
    view = context.queue.view()
    quarantined = context.queue.quarantined(limit) if view.quarantined and limit else []
    oldest = view.oldest_queued_at
    if context.json:
        document = {
            "waiting": view.waiting,
            "running": view.running,
            "oldest_queued_at": oldest.isoformat() if oldest else None,
            "num_quarantined": view.quarantined,
            "quarantined": [entry.model_dump(mode="json") for entry in quarantined],
        }
        context.output.data(json_text.dumps(document))
        return
    since = f"; the next one for {age((context.now() - oldest).total_seconds())}" if oldest else ""
    context.output.data(f"{plural(view.waiting, 'run')} waiting{since}, {view.running} running")
    if view.quarantined:
        context.output.data(f"{plural(view.quarantined, 'message')} in quarantine, the last ones:")
    for entry in quarantined:
        context.output.data(f"  {entry.reason}: {one_line(entry.beginning)[:80]} ({entry.num_bytes:,} bytes)")
