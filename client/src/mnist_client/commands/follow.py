"""`follow`: what a run has told from its start, and then what it tells, as it does."""

import sys
from typing import Annotated

import typer

from mnist_client import options
from mnist_client.context import context_of


def follow(
    ctx: typer.Context,
    run: options.Run = "last",
    bell: Annotated[bool, typer.Option("--bell", help="Ring the terminal's bell at the end.")] = False,
    json: options.Json = False,
) -> int:
    """Follow a run until it ends. Ctrl-C stops the following, not the run.

    A run that goes on from another shows that one's epochs first. While the run waits, it says for what. On a terminal
    there is a progress bar, elsewhere one line an epoch; with --json one event a line. The exit code is the run's
    result: 0 succeeded, 100 failed, 103 cancelled.

    \b
    Example:
      mnist-client follow last --bell
    """
    from mnist_client.waiting import follow_and_show

    context = context_of(ctx, json=json)
    return follow_and_show(context, context.store.resolve(run), stream=sys.stdout, bell=bell)
