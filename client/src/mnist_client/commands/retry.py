"""`retry`: the same requests once more, from scratch."""

from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import context_of


def retry(
    ctx: typer.Context,
    runs: options.Runs,
    force: Annotated[bool, typer.Option("--force", help="Also what has succeeded.")] = False,
    follow: options.Follow = False,
    wait: options.Wait = False,
    json: options.Json = False,
) -> int:
    """Send failed or cancelled runs again, each from scratch as a new run.

    Tags, priority and retries are those of the run; the name is a new one. To go on from its last checkpoint instead,
    `mnist-client resume` it.

    \b
    Example:
      mnist-client retry last --follow
    """
    from mnist_client.sending import send
    from mnist_client.submission import retry_wishes
    from mnist_client.targets import check_still_possible
    from mnist_client.wish_options import Staying
    from mnist_shared.contracts.requests import OnTarget
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if follow and len(runs) > 1:
        raise InvalidInput("--follow shows one run at a time.", hint="Give one run, or --wait for all of them.")
    # All of them are known to be in order before any is sent.
    records = [context.store.get(run_id) for run_id in dict.fromkeys(context.store.resolve(name) for name in runs)]
    sendings = [(record.request, retry_wishes(record, is_forced=force)) for record in records]
    for request, _ in sendings:
        if isinstance(request, OnTarget) and request.target is not None:
            check_still_possible(request, context.store.get(request.target))
    codes = [send(context, request, wishes, Staying(follow=follow, wait=wait)) for request, wishes in sendings]
    return next((code for code in codes if code != exits.OK), exits.OK)
