"""Send a request from the command line: say what became of it, and stay with the run where that is wished."""

import json
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer

from mnist_client import exits
from mnist_client.context import CommandContext
from mnist_client.submission import Sent, Wishes, submit
from mnist_client.wish_options import Staying, staying_of, wishes_of
from mnist_shared.contracts.requests import Request


def send_from(
    ctx: typer.Context,
    context: CommandContext,
    request: Request,
    *,
    flags: Mapping[str, object],
    file: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """What a command that sends a run does: plan it, or send it and stay as long as wished. Returns the exit code.

    `flags` and `file` are the arguments of the configuration that stand on the command line and in the file.
    """
    wishes, staying = wishes_of(ctx), staying_of(ctx)
    if staying.plan:
        from mnist_client.planning import arguments_of, print_plan

        return print_plan(context, request, wishes, arguments_of(request, flags=flags, file=file))
    if unsaid := {name: value for name, value in file.items() if name not in flags}:
        words = ", ".join(f"{name.replace('_', '-')} {value}" for name, value in unsaid.items())
        context.output.talk(f"from {context.configuration.path}: {words}")
    return send(context, request, wishes, staying)


def send(context: CommandContext, request: Request, wishes: Wishes, staying: Staying) -> int:
    """Send the request and print the run's id; then follow it or wait for it. Returns the exit code.

    stdout holds the id and nothing else: what is followed goes to stderr. With --json it is one object a line: the
    submission, then the events (`--follow`) or the record at the end (`--wait`).
    """
    sent = submit(context.store, request, wishes)
    tell(context, sent)
    if context.json:
        context.output.data(json.dumps({"kind": request.kind, **document(sent)}))
    else:
        context.output.data(sent.run_id)
    if staying.follow or staying.wait:
        return stay(context, sent, follow=staying.follow)
    for words in (f"follow {sent.run_id}", f"status {sent.run_id}", f"cancel {sent.run_id}"):
        if not (sent.is_reused and words.startswith("cancel")):
            context.output.talk(f"  {context.command(words)}")
    return exits.OK


def tell(context: CommandContext, sent: Sent, *, what: str = "submitted as {}") -> None:
    """Tell a human what became of the request, and when nobody serves the queue."""
    context.output.talk(_became(sent, what))
    if sent.evaluation is not None:
        context.output.talk(_became(sent.evaluation, "then evaluated as {}"))
    if context.quiet or sent.is_reused:
        return
    if absence := context.absence():
        context.output.warn(absence)
    if context.queue.view().paused:
        context.output.warn(f"the queue is paused: nothing starts before `{context.command('queue resume')}`.")


def document(sent: Sent) -> dict[str, Any]:
    """What became of a request, for --json."""
    found: dict[str, Any] = {
        "id": sent.run_id,
        "name": sent.name,
        "position": sent.position,
        "waits_for": sent.waits_for,
        "reused": sent.is_reused,
    }
    return found if sent.evaluation is None else {**found, "evaluation": document(sent.evaluation)}


def stay(context: CommandContext, sent: Sent, *, follow: bool) -> int:
    """Until the run has ended, and its evaluation; the exit code of the first of them that did not succeed."""
    code = follow_to_end(context, sent.run_id) if follow else await_end(context, sent.run_id)
    if code == exits.OK and sent.evaluation is not None:
        return await_end(context, sent.evaluation.run_id)
    return code


def follow_to_end(context: CommandContext, run_id: str) -> int:
    from mnist_client.waiting import follow_and_show

    return follow_and_show(context, run_id, stream=sys.stdout if context.json else sys.stderr)


def await_end(context: CommandContext, run_id: str) -> int:
    """Wait in silence, then say how the run ended."""
    from mnist_client.rendering.wording import failure, outcome
    from mnist_client.staying import ended_record

    record = ended_record(context, run_id)
    code = exits.of_state(record.state)
    if context.json:
        context.output.data(record.model_dump_json())
    elif record.error is not None and code != exits.OK:
        context.output.error(f"Run {run_id} {ended(record.state)}. {failure(record.error)}")
    else:
        context.output.talk(f"{record.state}{': ' + outcome(record.result) if record.result else ''}")
    return code


def ended(state: str) -> str:
    """How a run ended that has not succeeded."""
    return "was cancelled" if state == "cancelled" else state


def _became(sent: Sent, what: str) -> str:
    from mnist_client.rendering.wording import queue_place

    named = f"{sent.run_id} ({sent.name})"
    if sent.is_reused:
        return f"not needed: run {named} has succeeded with the same configuration"
    if sent.waits_for is not None:
        return f"{what.format(named)}, once {sent.waits_for} has succeeded"
    place = "already started" if sent.position is None else queue_place(sent.position)
    return f"{what.format(named)}, {place}"
