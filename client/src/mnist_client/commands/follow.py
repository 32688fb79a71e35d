"""`follow`: what a run has told from its start, and then what it tells, as it does."""

import sys

import typer

from mnist_client import options
from mnist_client.context import context_of


def follow(ctx: typer.Context, run: options.Run = "last", json: options.Json = False) -> int:
    """Follow a run until it ends. Ctrl-C stops the following, not the run.

    The exit code is the run's result: 0 succeeded, 100 failed, 103 cancelled. With --json one event a line.

    \b
    Example:
      mnist-client follow last
    """
    from mnist_client.waiting import follow_and_show

    context = context_of(ctx, json=json)
    return follow_and_show(context, context.store.resolve(run), stream=sys.stdout)
