"""`wait`: until runs have ended."""

import time
from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import context_of


def wait(
    ctx: typer.Context,
    runs: options.Runs,
    any_of_them: Annotated[
        bool, typer.Option("--any", help="Until the first of them has ended; print its id.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop waiting after so long, with exit code 106; the runs go on."),
    ] = None,
    json: options.Json = False,
) -> int:
    """Wait in silence until the runs have ended.

    The exit code is their result: 0 when all succeeded, else that of the first one that did not (100 failed, 103
    cancelled); with --any that of the run that has ended. With --json their records.

    \b
    Example:
      mnist-client wait 3f2a 91c0 --timeout 600
      mnist-client wait --any brisk-otter calm-heron
    """
    from mnist_client.staying import detachable, wait_for_ends
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if timeout is not None and not 0 <= timeout < float("inf"):
        raise InvalidInput(f"--timeout: {timeout:g} is no duration.", hint="Give the seconds to wait, from 0.")
    deadline = None if timeout is None else time.monotonic() + timeout
    run_ids = list(dict.fromkeys(context.store.resolve(name) for name in runs))
    with detachable(context, run_ids[0]):
        ended = wait_for_ends(context, run_ids, is_first_enough=any_of_them, deadline=deadline)
    wanted = list(ended)[:1] if any_of_them else run_ids
    open_runs = [run_id for run_id in run_ids if run_id not in ended]
    if open_runs and not (any_of_them and ended):
        many = f"{len(open_runs)} runs have" if len(open_runs) > 1 else f"Run {open_runs[0]} has"
        goes_on = "they go on" if len(open_runs) > 1 else "it goes on"
        context.output.error(f"{many} not ended within {timeout:g} s; {goes_on}.")
        return exits.TIMED_OUT
    if context.json:
        context.output.data("[" + ",\n ".join(context.store.get(run_id).model_dump_json() for run_id in wanted) + "]")
    elif any_of_them:
        context.output.data(wanted[0])
    codes = [exits.of_state(ended[run_id]) for run_id in wanted]
    return next((code for code in codes if code != exits.OK), exits.OK)
