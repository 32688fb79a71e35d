"""`up`: an embedded stack in the foreground."""

from typing import Annotated

import typer

from mnist_client import options
from mnist_client.context import context_of


def up(
    ctx: typer.Context,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            help="Workers to start; 0: the server alone. [default: 1; 0 to 64]",
            show_default=False,
        ),
    ] = 1,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="PORT", help="Of the server, on loopback; else that of the last time, or a free one."
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors: no log lines of the workers.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Start a server and workers here, and stop them with Ctrl-C.

    Needs no Redis and no Docker. The other commands find it through the storage folder. Runs outlive it: what is
    queued or unfinished goes on at the next `up`. With --json one line on stdout once all of it is ready.

    \b
    Example:
      mnist-client up --workers 2
    """
    from dataclasses import replace

    from mnist_client.stack.stack import run_stack
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if not 0 <= workers <= 64:
        raise InvalidInput(f"--workers: {workers} is out of bounds.", hint="Give a number from 0 to 64.")
    if port is not None and not 1 <= port <= 65_535:
        raise InvalidInput(f"--port: {port} is out of bounds.", hint="Give a number from 1 to 65535.")
    if context.broker is not None:
        raise InvalidInput(
            "--broker: `up` starts a broker of its own.", hint="Leave it out, or start `mnist-worker` on that broker."
        )
    run_stack(replace(context, quiet=quiet or context.quiet), num_workers=workers, port=port)
