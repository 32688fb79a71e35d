"""`wait`: until runs have ended."""

import time
from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import context_of


def wait(
    ctx: typer.Context,
    runs: options.Runs,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop waiting after so long, with exit code 106; the runs go on."),
    ] = None,
    json: options.Json = False,
) -> int:
    """Wait in silence until the runs have ended.

    The exit code is their result: 0 when all succeeded, else that of the first one that did not (100 failed, 103
    cancelled). With --json their records.

    \b
    Example:
      mnist-client wait 3f2a 91c0 --timeout 600
    """
    from mnist_client.waiting import detached, wait_for_end
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if timeout is not None and not 0 <= timeout < float("inf"):
        raise InvalidInput(f"--timeout: {timeout:g} is no duration.", hint="Give the seconds to wait, from 0.")
    deadline = None if timeout is None else time.monotonic() + timeout
    run_ids = [context.store.resolve(name) for name in runs]
    codes = []
    for run_id in run_ids:
        try:
            code = wait_for_end(context, run_id, deadline=deadline)
        except KeyboardInterrupt:
            return detached(context, run_id)
        if code is None:
            context.output.error(f"Run {run_id} has not ended within {timeout:g} s; it goes on.")
            return exits.TIMED_OUT
        codes.append(code)
    if context.json:
        context.output.data("[" + ",\n ".join(context.store.get(run_id).model_dump_json() for run_id in run_ids) + "]")
    return next((code for code in codes if code != exits.OK), exits.OK)
