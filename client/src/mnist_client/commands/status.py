"""`status`: the runs as a table, or one in detail; once, or again and again."""

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_client import listing, options
from mnist_client.completion import complete_runs, complete_tags, one_of
from mnist_client.context import CommandContext, context_of
from mnist_client.help_sections import SectionedCommand

if TYPE_CHECKING:
    from mnist_client.overview import Overview
    from mnist_client.portrait import Portrait
    from mnist_shared.contracts.runs import RunRecord

INTERVAL_SECONDS = 2.0
MIN_INTERVAL_SECONDS = 0.2
_ATTACHED = re.compile(r"(?:-w|--watch=)(\d+(?:\.\d+)?)")


class Command(SectionedCommand):
    """Takes `-w 5` for `-w --interval 5`: an option whose value may be left out, which Typer has not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_interval(args))


def _with_interval(args: list[str]) -> list[str]:
    found: list[str] = []
    for word in args:
        if found and found[-1] in ("-w", "--watch") and re.fullmatch(r"\d+(\.\d+)?", word):
            found += ["--interval", word]
        elif attached := _ATTACHED.fullmatch(word):
            found += ["--watch", "--interval", attached.group(1)]
        else:
            found.append(word)
    return found


def status(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help=f"{options.RUN_HELP} One: in detail.", autocompletion=complete_runs),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Show it again and again, in place; q ends. `-w 5`: every 5 seconds."),
    ] = False,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="queued, running, succeeded, failed, cancelled; active or ended; several.",
            autocompletion=one_of(*listing.STATES, *listing.GROUPS),
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="train, resume, evaluate, export, predict or verify; several.",
            autocompletion=one_of(*listing.KINDS),
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Runs that bear all of these tags.", autocompletion=complete_tags),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(metavar="COLUMN", help=f"{', '.join(listing.SORTS)}.", autocompletion=one_of(*listing.SORTS)),
    ] = "age",
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", help="Runs on a page. [default: 20]"),
    ] = None,
    page: Annotated[int, typer.Option("--page", metavar="N", help="Which page.")] = 1,
    every: Annotated[bool, typer.Option("--all", "-a", help="All runs, on one page.")] = False,
    epochs: Annotated[bool, typer.Option("--epochs", help="Of one run: all its epochs, not the last ten.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", help="Between two looks, with --watch.", show_default=True)
    ] = INTERVAL_SECONDS,
    json: options.Json = False,
) -> int:
    """Show the latest runs, or one run in detail.

    LOSS is a bar an epoch on one scale for all runs, 0.01 to 2.56: a bar lower is half the loss. ETA is the time until
    the run ends, of a queued one by what such epochs took before.

    \b
    Example:
      mnist-client status -w
      mnist-client status --state failed --tag sweep
      mnist-client status last
    """
    context = context_of(ctx, json=json)
    wanted = _wanted(state=state, kind=kind, tag=tag, sort=sort, reverse=reverse, limit=limit, page=page, every=every)
    if watch and not MIN_INTERVAL_SECONDS <= interval < float("inf"):
        from mnist_shared.errors import InvalidInput

        raise InvalidInput(f"--interval: {interval:g} s is too little.", hint=f"Give {MIN_INTERVAL_SECONDS:g} or more.")
    every_seconds = interval if watch else None
    if not runs:
        return _show_page(context, wanted, every_seconds=every_seconds)
    run_ids = [context.store.resolve(name) for name in runs]
    if len(run_ids) == 1:
        return _show_one(context, run_ids[0], all_epochs=epochs, every_seconds=every_seconds)
    return _show_some(context, run_ids, every_seconds=every_seconds)


def _wanted(
    *,
    state: list[str] | None,
    kind: list[str] | None,
    tag: list[str] | None,
    sort: str,
    reverse: bool,
    limit: int | None,
    page: int,
    every: bool,
) -> listing.Wanted:
    from mnist_shared.contracts.names import checked_tag
    from mnist_shared.errors import InvalidInput

    for option, number in (("--limit", 20 if limit is None else limit), ("--page", page)):
        if number < 1:
            raise InvalidInput(f"{option}: {number} is less than 1.", hint=f"Give {option} a number from 1.")
    if every and (limit is not None or page != 1):
        raise InvalidInput("--all goes with neither --limit nor --page.", hint="Leave one of them out.")
    return listing.Wanted(
        states=listing.words_of(state or (), listing.STATES, option="--state"),
        kinds=listing.words_of(kind or (), listing.KINDS, option="--kind"),
        tags=frozenset(checked_tag(one) for one in tag or ()),
        sort=next(iter(listing.words_of([sort], listing.SORTS, option="--sort")), listing.LATEST_FIRST),
        reverse=reverse,
        limit=None if every else limit or listing.Wanted.limit,
        page=page,
    )


def _show_page(context: CommandContext, wanted: listing.Wanted, *, every_seconds: float | None) -> int:
    from mnist_client.overview import load_overview

    if every_seconds is not None:
        from mnist_client.watching import watch

        return watch(
            context,
            lambda: load_overview(context, wanted),
            lambda overview, paper: _table(context, overview, paper, summary_first=True),
            seconds=every_seconds,
            as_json=(lambda overview: _json(overview.records, separator=",")) if context.json else None,
        )
    if context.json:
        records = listing.read_listing(
            context.store, wanted, on_unreadable=lambda e: context.output.warn(str(e))
        ).records
        context.output.data(_json(records))
        return 0
    overview = load_overview(context, wanted)
    if overview.records:
        context.output.data("\n".join(_table(context, overview, context.output.paper(sys.stdout))))
        _talk_summary(context, overview)
    elif wanted.is_filtered or overview.first:
        context.output.talk(f"no such runs{' on this page' if overview.first else ''}")
    else:
        context.output.talk(f"no runs yet; submit one with `{context.command('submit train')}`")
    return 0


def _show_some(context: CommandContext, run_ids: list[str], *, every_seconds: float | None) -> int:
    from mnist_client.overview import overview_of

    def load() -> "Overview":
        return overview_of(context, [context.store.get(run_id) for run_id in run_ids])

    if every_seconds is not None:
        from mnist_client.watching import watch

        return watch(
            context,
            load,
            lambda overview, paper: _table(context, overview, paper),
            seconds=every_seconds,
            has_ended=lambda overview: all(record.state.is_final for record in overview.records),
            as_json=(lambda overview: _json(overview.records, separator=",")) if context.json else None,
        )
    if context.json:
        context.output.data(_json([context.store.get(run_id) for run_id in run_ids]))
    else:
        context.output.data("\n".join(_table(context, load(), context.output.paper(sys.stdout))))
    return 0


def _show_one(context: CommandContext, run_id: str, *, all_epochs: bool, every_seconds: float | None) -> int:
    if context.json and every_seconds is None:
        context.output.data(context.store.get(run_id).model_dump_json(indent=2))
        return 0
    from mnist_client.portrait import load_portrait
    from mnist_client.rendering.details import details_lines

    def lines(portrait: "Portrait", paper: Any) -> list[str]:
        return details_lines(portrait, paper, all_epochs=all_epochs)

    if every_seconds is not None:
        from mnist_client.watching import watch

        return watch(
            context,
            lambda: load_portrait(context, run_id),
            lines,
            seconds=every_seconds,
            has_ended=lambda portrait: portrait.record.state.is_final,
            as_json=(lambda portrait: portrait.record.model_dump_json()) if context.json else None,
        )
    from mnist_client.rendering.next_steps import next_commands

    portrait = load_portrait(context, run_id)
    context.output.data("\n".join(lines(portrait, context.output.paper(sys.stdout))))
    for words in next_commands(portrait.record):
        context.output.talk(f"  {context.command(words)}")
    if portrait.prospect is not None and portrait.prospect.obstacle:
        context.output.warn(portrait.prospect.obstacle)
    return 0


def _table(context: CommandContext, overview: "Overview", paper: Any, *, summary_first: bool = False) -> list[str]:
    from mnist_client.rendering.status import table_lines
    from mnist_client.rendering.summary import summary_lines

    summary = [*summary_lines(overview, paper), ""] if summary_first else []
    if not overview.records:
        return [*summary, "no such runs" if overview.wanted.is_filtered else "no runs yet"]
    return [*summary, *table_lines(overview, paper, context.command)]


def _talk_summary(context: CommandContext, overview: "Overview") -> None:
    from mnist_client.rendering.summary import summary_lines

    for line in summary_lines(overview, context.output.paper(sys.stderr)):
        context.output.talk(line)


def _json(records: "Any", *, separator: str = ",\n ") -> str:
    found: list[RunRecord] = list(records)
    return "[" + separator.join(record.model_dump_json() for record in found) + "]"
