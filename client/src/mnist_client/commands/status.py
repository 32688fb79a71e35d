"""`status`: the runs as a table, or one in detail."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import options
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnist_shared.contracts.runs import RunRecord


def status(
    ctx: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN", help=f"{options.RUN_HELP} One: in detail.")] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            help="How many runs at most, the newest first. [default: 20]",
            show_default=False,
        ),
    ] = 20,
    json: options.Json = False,
) -> None:
    """Show the latest runs, or one run in detail.

    \b
    Example:
      mnist-client status
      mnist-client status last
    """
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if limit < 1:
        raise InvalidInput(f"--limit: {limit} is less than 1.", hint="Give the number of runs to show.")
    if runs:
        records = [context.store.get(context.store.resolve(name)) for name in runs]
        if len(records) == 1:
            _show_one(records[0], context)
        else:
            _show_many(records, context)
        return
    records = context.store.latest(limit, on_unreadable=lambda error: context.output.warn(str(error)))
    _show_many(records, context)
    total = context.store.count()
    if not records:
        context.output.talk(f"no runs yet; submit one with `{context.command('submit train')}`")
    elif total > len(records):
        context.output.talk(f"{total - len(records):,} more; see `{context.command(f'status -n {total}')}`")


def _show_many(records: "Sequence[RunRecord]", context: CommandContext) -> None:
    if context.json:
        context.output.data("[" + ",\n ".join(record.model_dump_json() for record in records) + "]")
    elif records:
        from mnist_client.rendering.status import print_table

        print_table(records, now=context.now(), output=context.output, stream=sys.stdout)


def _show_one(record: "RunRecord", context: CommandContext) -> None:
    if context.json:
        context.output.data(record.model_dump_json(indent=2))
        return
    from mnist_client.rendering.details import print_details

    print_details(
        record,
        position=context.store.position(record.id) if record.state == "queued" else None,
        now=context.now(),
        command=context.command,
        output=context.output,
        stream=sys.stdout,
    )
    if record.state == "queued" and (absence := context.absence()):
        context.output.warn(absence)
