"""Follow a run in front of a user, or wait for its end in silence; the exit code is the run's result."""

import time
from typing import TYPE_CHECKING, TextIO

from mnist_client import exits
from mnist_client.context import CommandContext
from mnist_client.following import ConnectionBack, ConnectionLost, Quiet, follow_run
from mnist_shared.contracts.events import AttemptLost, AttemptStarted, Finished, HandedBack
from mnist_shared.errors import BrokerUnreachable
from mnist_shared.storage.events import BLOCK_MS, ToldEvent

if TYPE_CHECKING:
    from mnist_client.rendering.follow import FollowView

FINE_BLOCK_MS = 100  # how often a wait that may time out looks at the clock


def follow_and_show(context: CommandContext, run_id: str, *, stream: TextIO) -> int:
    """Show a run on `stream`, from its start to its end. Ctrl-C detaches."""
    from mnist_client.rendering.details import next_commands
    from mnist_client.rendering.follow import make_view

    record = context.store.get(run_id)
    waits = record.state == "queued"
    try:
        with make_view(record, context.output, stream=stream, as_json=context.json) as view:
            if waits:
                _show_queue(context, run_id, view)
            for heard in follow_run(context.store, context.events, run_id):
                view.show(heard)
                if isinstance(heard, ToldEvent):
                    waits = _still_waits(heard, waits)
                elif isinstance(heard, Quiet) and waits:
                    _show_queue(context, run_id, view)
        record = context.store.get(run_id)
    except KeyboardInterrupt:
        return detached(context, run_id)
    if not context.json:
        for words in next_commands(record):
            context.output.talk(f"  {context.command(words)}")
    return exits.of_state(record.state)


def wait_for_end(context: CommandContext, run_id: str, *, deadline: float | None = None) -> int | None:
    """The exit code of the run's result, once it has one; None when the monotonic clock passes `deadline` before.

    Raises KeyboardInterrupt on Ctrl-C.
    """
    state = context.store.get(run_id).state
    if state.is_final:
        return exits.of_state(state)
    block_ms = BLOCK_MS if deadline is None else FINE_BLOCK_MS
    for heard in follow_run(context.store, context.events, run_id, block_ms=block_ms):
        if isinstance(heard, ConnectionLost):
            context.output.talk(f"{heard.reason} Waiting for the broker to come back.")
        elif isinstance(heard, ConnectionBack):
            context.output.talk("The broker is back.")
        elif isinstance(heard, ToldEvent) and isinstance(heard.event, Finished):
            return exits.of_state(heard.event.state)
        if deadline is not None and time.monotonic() >= deadline:
            return None
    raise AssertionError("a run's events end with the last one")


def detached(context: CommandContext, run_id: str) -> int:
    """Say that only the looking on has ended."""
    context.output.talk(f"detached; run {run_id} goes on. Re-attach with `{context.command(f'follow {run_id}')}`.")
    return exits.DETACHED


def _still_waits(told: ToldEvent, waits: bool) -> bool:
    if isinstance(told.event, AttemptStarted):
        return False
    return waits or isinstance(told.event, AttemptLost | HandedBack)


def _show_queue(context: CommandContext, run_id: str, view: "FollowView") -> None:
    try:
        position, absence = context.store.position(run_id), context.absence()
    except BrokerUnreachable:
        return  # whoever reads the events finds out too, and says so
    if position is not None:
        view.show_queue(position, absence=absence)
