"""Stay with runs until they end. The one place that says what an outage and Ctrl-C mean meanwhile."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from mnist_client import exits
from mnist_client.context import CommandContext
from mnist_shared.errors import BrokerRefused, BrokerUnreachable

if TYPE_CHECKING:
    from mnist_shared.contracts.runs import RunRecord, RunState

RETRY_SECONDS = 0.5
BLOCK_SECONDS = 2.0  # well under the socket's timeout


def wait_for_ends(
    context: CommandContext, run_ids: Sequence[str], *, is_first_enough: bool = False, deadline: float | None = None
) -> "dict[str, RunState]":
    """The states of those runs that have ended, once all have (or the first one has), or the monotonic clock passes
    `deadline`. However often the broker goes away meanwhile.

    Raises:
        BrokerRefused: the broker answers and will not have us; waiting does not help.
        RunNotFound: the broker does not know one of them (any more).
        KeyboardInterrupt: Ctrl-C.
    """
    from mnist_shared.storage.ends import EndWatch

    watch, is_lost = EndWatch(context.redis, run_ids), False
    while True:
        left = BLOCK_SECONDS if deadline is None else min(deadline - time.monotonic(), BLOCK_SECONDS)
        try:
            is_done = watch.look()
            if is_lost:
                is_lost = False
                context.output.talk("The broker is back.")
            if is_done or (is_first_enough and watch.ended) or left <= 0:
                return watch.ended
            watch.sleep(left)
        except BrokerRefused:
            raise
        except BrokerUnreachable as error:
            if not is_lost:
                context.output.talk(f"{error.message} Waiting for the broker to come back.")
            if left <= 0:
                return watch.ended
            is_lost = True
            time.sleep(min(RETRY_SECONDS, left))


def ended_record(context: CommandContext, run_id: str) -> "RunRecord":
    """The run's record, once it has ended. Ctrl-C detaches."""
    with detachable(context, run_id):
        wait_for_ends(context, [run_id])
    return context.store.get(run_id)


@contextmanager
def detachable(context: CommandContext, run_id: str) -> Iterator[None]:
    """Ctrl-C in here ends the looking on, not the run: the command says so, and exits with 130."""
    try:
        yield
    except KeyboardInterrupt:
        context.output.talk(f"detached; run {run_id} goes on. Re-attach with `{context.command(f'follow {run_id}')}`.")
        raise typer.Exit(exits.DETACHED) from None
