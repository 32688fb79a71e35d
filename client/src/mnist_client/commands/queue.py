"""`queue`: how many runs wait, and what was found in the queue that is no message; pause it, and let it go on."""

import json as json_text
import sys
from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import context_of

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def queue(
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, help="How many quarantined messages to show.")
    ] = 10,
    json: options.Json = False,
) -> None:
    """Show the queue, pause it, resume it.

    How many runs wait and for how long, and the quarantine: what is found in the broker's list and is no message of
    this project never reaches a worker; it is put aside here, with a reason.

    \b
    Example:
      mnist-client queue
      mnist-client queue pause
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = context_of(ctx, json=json)
        return
    from mnist_client.rendering.queue import queue_lines

    context = context_of(ctx, json=json)
    view = context.queue.view()
    quarantined = context.queue.quarantined(limit) if view.quarantined and limit else []
    if context.json:
        oldest = view.oldest_queued_at
        document = {
            "waiting": view.waiting,
            "by_priority": view.by_priority,
            "blocked": view.blocked,
            "running": view.running,
            "oldest_queued_at": oldest.isoformat() if oldest else None,
            "paused_at": view.paused.isoformat() if view.paused else None,
            "num_quarantined": view.quarantined,
            "quarantined": [entry.model_dump(mode="json") for entry in quarantined],
        }
        context.output.data(json_text.dumps(document))
        return
    lines = queue_lines(view, quarantined, now=context.now(), paper=context.output.paper(sys.stdout))
    context.output.data("\n".join(lines))
    if view.waiting and (absence := context.absence()):
        context.output.talk(absence)


@app.command()
def pause(ctx: typer.Context, json: options.Json = False) -> int:
    """Begin no more runs, whoever would take them. Those under way go on; submitting goes on too.

    \b
    Example:
      mnist-client queue pause
    """
    context = context_of(ctx, json=json)
    before = context.queue.view()
    context.queue.pause()
    if context.json:
        context.output.data(json_text.dumps({"paused": True, "was_paused": before.paused is not None}))
        return exits.OK
    context.output.data("the queue was paused already" if before.paused else "the queue is paused")
    if before.running:
        from mnist_client.rendering.wording import plural

        context.output.talk(f"{plural(before.running, 'run')} under way go{'es' if before.running == 1 else ''} on")
    context.output.talk(f"to go on: {context.command('queue resume')}")
    return exits.OK


@app.command()
def resume(ctx: typer.Context, json: options.Json = False) -> int:
    """Let workers begin runs again.

    \b
    Example:
      mnist-client queue resume
    """
    context = context_of(ctx, json=json)
    before = context.queue.view()
    context.queue.resume()
    if context.json:
        context.output.data(json_text.dumps({"paused": False, "was_paused": before.paused is not None}))
        return exits.OK
    context.output.data("the queue goes on" if before.paused else "the queue was not paused")
    if before.waiting and (absence := context.absence()):
        context.output.warn(absence)
    return exits.OK
