"""`workers`: who serves the queue, who was lost, and who is to take no more runs."""

import json as json_text
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import exits, options
from mnist_client.completion import complete_workers
from mnist_client.context import CommandContext, context_of
from mnist_client.versions import is_other_version, own_version

if TYPE_CHECKING:
    from mnist_client.rendering.workers import WorkerRow

app = typer.Typer(rich_markup_mode=None)

NAMES_HELP = "Names of workers, as `workers` shows them."
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help=NAMES_HELP, autocompletion=complete_workers)]
All = Annotated[bool, typer.Option("--all", "-a", help="All workers that are present.")]


@app.callback(invoke_without_command=True)
def workers(ctx: typer.Context, json: options.Json = False) -> None:
    """List the workers, the lost ones too.

    Each with its device, the use of its GPU, its run and its speed; for 24 hours also those that vanished.

    \b
    Example:
      mnist-client workers
      mnist-client workers drain worker-2
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = context_of(ctx, json=json)
        return
    from mnist_client.rendering.workers import lost_words, worker_lines
    from mnist_shared.storage.serving import read_records

    context = context_of(ctx, json=json)
    rows = _rows(context)
    records = read_records(context.store, [row.info.run for row in rows if row.info.run and not row.is_lost])
    if context.json:
        document = []
        for row in rows:
            record = records.get(row.info.run or "")
            document.append(
                {
                    **row.info.model_dump(mode="json"),
                    "seen_at": row.seen_at.isoformat(),
                    "is_lost": row.is_lost,
                    "drain_wanted": row.drain_wanted,
                    "is_other_version": row.is_other_version,
                    "run_name": record.options.name if record is not None else None,
                    "images_per_second": record.progress.images_per_second if record and record.progress else None,
                }
            )
        context.output.data(json_text.dumps(document))
        return
    now = context.now()
    if rows:
        lines = worker_lines(rows, records=records, now=now, paper=context.output.paper(sys.stdout))
        context.output.data("\n".join(lines))
    if any(row.is_other_version for row in rows):
        context.output.warn(f"! is another version than this client's ({own_version()}): install the same on all.")
    has_stack = context.stack is not None
    for row in rows:
        if row.is_lost:
            context.output.talk(lost_words(row, now=now, has_stack=has_stack, command=context.command))
    if absence := context.absence():
        context.output.talk(absence)


@app.command()
def drain(ctx: typer.Context, names: Names = None, everyone: All = False, json: options.Json = False) -> int:
    """Let workers finish their run and take no more. It holds until `undrain`, also when they are started again.

    \b
    Example:
      mnist-client workers drain worker-2
      mnist-client workers drain --all
    """
    return _mark(context_of(ctx, json=json), names, everyone=everyone, drained=True)


@app.command()
def undrain(ctx: typer.Context, names: Names = None, everyone: All = False, json: options.Json = False) -> int:
    """Let drained workers take runs again.

    \b
    Example:
      mnist-client workers undrain worker-2
    """
    return _mark(context_of(ctx, json=json), names, everyone=everyone, drained=False)


def _mark(context: CommandContext, names: list[str] | None, *, everyone: bool, drained: bool) -> int:
    from mnist_shared.errors import InvalidInput

    registry = context.registry
    present, marked = {worker.info.name: worker.info for worker in registry.present()}, registry.drained()
    known = {*present, *marked, *(worker.info.name for worker in registry.lost())}
    if everyone == bool(names):
        raise InvalidInput("Give the names of workers, or --all.", hint=_known_words(known))
    wanted = list(dict.fromkeys(names or (sorted(present) if drained else sorted({*present, *marked}))))
    for name in wanted:
        if name not in known:
            raise InvalidInput(f"There is no worker {name!r:.70}.", hint=_known_words(known, name))
    outcomes = []
    for name in wanted:
        (registry.drain if drained else registry.undrain)(name)
        info = present.get(name)
        busy = info is not None and info.run is not None
        outcomes.append({"name": name, "drained": drained, "run": info.run if info else None})
        if context.json:
            continue
        if not drained:
            words = "takes runs again" + ("" if info else ", once it is started")
        elif info is None:
            words = "is to take no runs; it is not present now"
        else:
            words = f"finishes run {info.run}, then takes no more" if busy else "takes no more runs"
        context.output.data(f"{name} {words}")
    if context.json:
        context.output.data(json_text.dumps(outcomes))
    elif drained and wanted:
        chosen = "--all" if everyone else " ".join(wanted)
        context.output.talk(f"to take it back: {context.command(f'workers undrain {chosen}')}")
    return exits.OK


def _known_words(known: set[str], name: str = "") -> str:
    from difflib import get_close_matches

    if not known:
        return "No worker is present, and none was lost; see `mnist-client workers`."
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"There {'are' if len(known) > 1 else 'is'} {_some(known)}."


def _some(known: set[str]) -> str:
    names = sorted(known)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _rows(context: CommandContext) -> "list[WorkerRow]":
    """Those that are present, then those that were lost."""
    from mnist_client.rendering.workers import WorkerRow

    present, lost, marked = context.registry.present(), context.registry.lost(), context.registry.drained()
    own = own_version()
    return [
        WorkerRow(
            worker.info,
            worker.seen_at,
            is_lost=is_lost,
            drain_wanted=worker.info.name in marked,
            is_other_version=is_other_version(worker.info.versions, own=own),
        )
        for is_lost, group in ((False, present), (True, lost))
        for worker in group
    ]
