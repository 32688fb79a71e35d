"""`logs`: what the workers wrote about one run."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from mnist_client.rendering.logs import LogView
    from mnist_client.volume.log_file import LogReader
    from mnist_shared.contracts.runs import RunRecord

LOOK_MS = 200  # between two looks at the file
LINGER_SECONDS = 0.6  # after the run's end: a worker's last lines may come after its last word to the broker


def logs(
    ctx: typer.Context,
    run: options.Run = "last",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", metavar="N", help="Only the last N lines. [default: all]")
    ] = None,
    json: options.Json = False,
) -> int:
    """Show the workers' log of a run, from the shared volume.

    Every attempt adds to it, so it also tells how the ones before ended. With --json: an object a line.

    \b
    Example:
      mnist-client logs
      mnist-client logs brisk-otter --tail 20 --follow
    """
    from mnist_client.rendering.logs import LogView
    from mnist_client.volume.log_file import LogReader
    from mnist_client.volume.sight import run_folder
    from mnist_shared.errors import InvalidInput
    from mnist_shared.volume.files import volume_errors
    from mnist_shared.volume.run_folder import RunFolder

    context = context_of(ctx, json=json)
    if tail is not None and tail < 0:
        raise InvalidInput(f"--tail: {tail} is less than 0.", hint="Give the number of lines to show.")
    record = context.store.get(context.store.resolve(run))
    goes_on = follow and not record.state.is_final
    # A run that waits has no folder yet: whoever follows waits with it.
    folder = RunFolder(context.settings.runs_dir, record.id) if goes_on else run_folder(context, record)
    reader, view = LogReader(folder.log_file), LogView(context.output, stream=sys.stdout, as_json=context.json)
    with volume_errors(folder.path):
        if tail is not None:
            reader.skip_to_last(tail)
        if goes_on:
            return _follow(context, record, reader=reader, view=view)
        lines = reader.read_rest()
    view.show(lines)
    if not lines and tail != 0:
        context.output.talk(_why_empty(context, record))
    return exits.OK


def _why_empty(context: CommandContext, record: "RunRecord") -> str:
    if record.state.is_final:
        return f"Run {record.id} has left no log. See `{context.command(f'status {record.id}')}`."
    return f"Nothing is in the log of run {record.id} yet; it is {record.state}."


def _follow(context: CommandContext, record: "RunRecord", *, reader: "LogReader", view: "LogView") -> int:
    """Show what is written until the run has ended. Ctrl-C detaches."""
    from mnist_client.following import ConnectionBack, ConnectionLost, follow_run
    from mnist_client.staying import detachable

    if record.state == "queued" and not reader.path.exists():
        context.output.talk(f"Run {record.id} is queued; waiting for a worker to begin it.")
    is_sure = False  # that this client shares the workers' volume
    with detachable(context, record.id):
        for heard in follow_run(context.store, context.events, record.id, block_ms=LOOK_MS):
            view.show(reader.read())
            if isinstance(heard, ConnectionLost):
                context.output.talk(f"{heard.reason} Waiting for the broker to come back.")
            elif isinstance(heard, ConnectionBack):
                context.output.talk("The broker is back.")
            elif not is_sure:
                is_sure = reader.path.exists() or _is_here(context, record.id)
        record = context.store.get(record.id)
        ended = time.monotonic()
        while time.monotonic() - ended < LINGER_SECONDS:
            view.show(reader.read())
            time.sleep(LOOK_MS / 1000)
        view.show(reader.read_rest())
    context.output.talk(f"run {record.id} {'was ' if record.state == 'cancelled' else ''}{record.state}")
    return exits.OK


def _is_here(context: CommandContext, run_id: str) -> bool:
    """Whether the run's folder is here; false while it need not be. Raises VolumeError when it ought to be."""
    from mnist_client.volume.sight import run_folder
    from mnist_shared.errors import BrokerUnreachable, RunNotFinished

    try:
        run_folder(context, context.store.get(run_id))
    except (RunNotFinished, BrokerUnreachable):
        return False
    return True
