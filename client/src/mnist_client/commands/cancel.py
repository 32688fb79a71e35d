"""`cancel`: end runs, at once or as soon as their worker hears of it."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import options
from mnist_client.completion import complete_tags, one_of
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from mnist_shared.contracts.runs import RunRecord

LIVING = ("queued", "running")
MAX_SELECTED = 100_000
WORDS = {
    "cancelled": "cancelled",
    "requested": "cancel requested; its worker stops within seconds",
    "final": "has already ended",
}


def cancel(
    ctx: typer.Context,
    runs: options.AnyRuns = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", metavar="STATE", help="All that are queued, or running.", autocompletion=one_of(*LIVING)
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            help="All that bear the tag and have not ended; with --state, those of them.",
            autocompletion=complete_tags,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --state and --tag take effect.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="At once: do not wait for the worker to write a last checkpoint.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Cancel runs. What a training run has learnt so far can be resumed. Runs that wait for a cancelled one end too.

    \b
    Example:
      mnist-client cancel last
      mnist-client cancel --state queued --tag sweep --yes
    """
    import json as json_text

    from mnist_client.rendering.next_steps import can_resume_after_cancel
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if bool(runs) == bool(state or tag):
        raise InvalidInput(
            "Give runs, or --state or --tag." if not runs else "Give either runs, or --state and --tag.",
            hint="See `mnist-client cancel --help`.",
        )
    if runs:
        run_ids = list(dict.fromkeys(context.store.resolve(name) for name in runs))  # all known before any is cancelled
    else:
        run_ids = [record.id for record in _selected(context, state or [], tag or [])]
        if run_ids and not yes:
            _confirm(context, len(run_ids))
        elif not run_ids:
            context.output.talk("There is no such run: nothing was cancelled.")
    outcomes = []
    for run_id in run_ids:
        outcome = context.store.cancel(run_id, force=force)
        record = context.store.get(run_id)
        outcomes.append({"id": run_id, "outcome": outcome, "state": str(record.state)})
        if context.json:
            continue
        words = f"{WORDS[outcome]}: {record.state}" if outcome == "final" else WORDS[outcome]
        context.output.data(f"{run_id} {words}")
        if can_resume_after_cancel(record):
            context.output.talk(f"to go on with it: {context.command(f'resume {run_id}')}")
    if context.json:
        context.output.data(json_text.dumps(outcomes))


def _selected(context: CommandContext, states: list[str], tags: list[str]) -> "list[RunRecord]":
    """The living runs that are meant, the newest first: none of them starts because another one is cancelled."""
    from mnist_shared.contracts.runs import RunState
    from mnist_shared.errors import InvalidInput

    for state in states:
        if state not in LIVING:
            raise InvalidInput(f"--state: {state!r:.80} cannot be cancelled.", hint="Give queued or running.")
    return context.store.search(
        states=frozenset(RunState(state) for state in states or LIVING),
        tags=frozenset(tags),
        count=MAX_SELECTED,
        on_unreadable=lambda error: context.output.warn(str(error)),
    )


def _confirm(context: CommandContext, count: int) -> None:
    """Ask whoever sits there; nobody there is a no.

    Raises:
        InvalidInput: there is no terminal to ask at.
        typer.Abort: the answer is no.
    """
    from mnist_client.rendering.wording import plural
    from mnist_shared.errors import InvalidInput

    runs = plural(count, "run")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput(f"This would cancel {runs}, and there is no terminal to ask at.", hint="Say --yes.")
    if not typer.confirm(f"Cancel {runs}?", err=True):
        context.output.talk("Nothing was cancelled.")
        raise typer.Abort
