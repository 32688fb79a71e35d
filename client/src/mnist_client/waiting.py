"""Follow a run in front of a user; the exit code is the run's result."""

import sys
from typing import TYPE_CHECKING, TextIO

from mnist_client import exits
from mnist_client.context import CommandContext
from mnist_client.following import Quiet, follow_run
from mnist_client.staying import detachable
from mnist_shared.contracts.events import AttemptFailed, AttemptLost, AttemptStarted, HandedBack
from mnist_shared.errors import BrokerUnreachable
from mnist_shared.storage.events import ToldEvent

if TYPE_CHECKING:
    from mnist_client.rendering.follow import FollowView

BELL = "\a"


def follow_and_show(context: CommandContext, run_id: str, *, stream: TextIO, bell: bool = False) -> int:
    """Show a run on `stream`, from its start to its end. Ctrl-C detaches. `bell`: rings where a terminal is."""
    from mnist_client.inheritance import inheritance_of
    from mnist_client.rendering.follow import make_view
    from mnist_client.rendering.next_steps import next_commands

    record = context.store.get(run_id)
    waits = record.state == "queued"
    with detachable(context, run_id):
        inheritance = None if context.json else inheritance_of(context, record)
        with make_view(record, context.output, stream=stream, as_json=context.json, inheritance=inheritance) as view:
            if waits:
                _show_prospect(context, run_id, view)
            for heard in follow_run(context.store, context.events, run_id):
                view.show(heard)
                if isinstance(heard, ToldEvent):
                    waits = _still_waits(heard, waits)
                elif isinstance(heard, Quiet) and waits:
                    _show_prospect(context, run_id, view)
        record = context.store.get(run_id)
    if bell:
        ring()
    if not context.json:
        for words in next_commands(record):
            context.output.talk(f"  {context.command(words)}")
    return exits.of_state(record.state)


def ring() -> None:
    """The terminal's bell, on whichever stream leads to a terminal; where none does, nothing."""
    for stream in (sys.stderr, sys.stdout):
        if stream.isatty():
            stream.write(BELL)
            stream.flush()
            return


def _still_waits(told: ToldEvent, waits: bool) -> bool:
    if isinstance(told.event, AttemptStarted):
        return False
    return waits or isinstance(told.event, AttemptLost | HandedBack | AttemptFailed)


def _show_prospect(context: CommandContext, run_id: str, view: "FollowView") -> None:
    from mnist_client.prospects import load_prospect

    try:
        record = context.store.get(run_id)
        prospect = load_prospect(context, record) if record.state == "queued" else None
    except BrokerUnreachable:
        return  # whoever reads the events finds out too, and says so
    if prospect is not None:
        view.show_prospect(prospect)
