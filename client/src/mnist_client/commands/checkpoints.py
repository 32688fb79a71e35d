"""`checkpoints`: list what a run keeps on the volume, remove what is no longer needed, copy one out."""

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from mnist_client.volume.collecting import Collection

checkpoints = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""List, copy and tidy the checkpoints on the shared volume.

    \b
    Example:
      mnist-client checkpoints list last
      mnist-client checkpoints pull last --output models
      mnist-client checkpoints gc --older-than 30 --dry-run
    """,
)
app = checkpoints


@checkpoints.command("list")
def list_(
    ctx: typer.Context,
    run: options.TrainingRun = "last",
    all_runs: Annotated[bool, typer.Option("--all", "-a", help="All runs of the volume, one line each.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte and compare the SHA-256.")] = False,
    json: options.Json = False,
) -> None:
    """List the checkpoints of a run, the newest first.

    \b
    Example:
      mnist-client checkpoints list
      mnist-client checkpoints list brisk-otter --verify
      mnist-client checkpoints list --all
    """
    from datetime import UTC, datetime

    from mnist_client.curves import accuracies
    from mnist_client.rendering.checkpoints import file_document, file_lines
    from mnist_client.volume.checkpoint_files import inspect
    from mnist_client.volume.sight import find_training_folder

    context = context_of(ctx, json=json)
    if all_runs:
        _list_all(context, verify=verify)
        return
    folder, _ = find_training_folder(context, run)
    files, known = inspect(folder.checkpoints, verify=verify), accuracies(context, folder.run_id)
    if context.json:
        rows = [file_document(file, accuracies=known, files=files) for file in files]
        context.output.data(json_text.dumps(rows))
    elif files:
        paper = context.output.paper(sys.stdout)
        context.output.data("\n".join(file_lines(files, accuracies=known, now=datetime.now(UTC), paper=paper)))
    if not files:
        context.output.talk(f"run {folder.run_id} has no checkpoint in {folder.checkpoints}")


@checkpoints.command()
def pull(
    ctx: typer.Context,
    run: options.TrainingRun = "last",
    which: Annotated[
        str, typer.Option("--which", metavar="last|best|EPOCH", help="Which one: the last, the best, or of an epoch.")
    ] = "last",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to copy it to.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    json: options.Json = False,
) -> None:
    """Copy a checkpoint off the volume; prints the path of the copy.

    The copy appears whole or not at all, and only when its SHA-256 is the one that its worker wrote down. The best is
    that of the highest validation accuracy: only a run with --validation-size has one.

    \b
    Example:
      mnist-client checkpoints pull
      mnist-client checkpoints pull brisk-otter --which 3 --output models
    """
    from mnist_client.rendering.wording import num_bytes
    from mnist_client.volume.pulling import pull as pull_file
    from mnist_client.volume.sight import find_training_folder

    context = context_of(ctx, json=json)
    folder, _ = find_training_folder(context, run)
    file, path = pull_file(folder, which=which, output=output, force=force)
    assert file.ref is not None
    if context.json:
        document = {"id": folder.run_id, "path": str(path), **file.ref.model_dump(exclude={"schema_version"})}
        context.output.data(json_text.dumps(document))
    else:
        context.output.data(str(path))
    place = f"epoch {file.name.epoch}" + (f", batch {file.name.batch}" if file.name.batch else "")
    context.output.talk(
        f"run {folder.run_id} after {place}, {num_bytes(file.num_bytes)}, SHA-256 {file.ref.sha256[:12]}"
    )


@checkpoints.command()
def gc(
    ctx: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Training runs. [default: all]")] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", help="How many usable ones to keep of each run. [default: 1]")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", help="Only what was written longer ago.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The last usable one too: the runs cannot be resumed or evaluated any more.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    json: options.Json = False,
) -> int:
    """Remove checkpoints of runs that have ended, and what killed workers left half-written.

    The last usable checkpoint of each run stays, and its best one. Runs whose records are gone are included.

    \b
    Example:
      mnist-client checkpoints gc --older-than 30 --dry-run
      mnist-client checkpoints gc brisk-otter --keep 2 --yes
    """
    from mnist_client.rendering.checkpoints import collection_document, collection_line
    from mnist_client.rendering.wording import num_bytes, plural
    from mnist_client.volume.candidates import ended_folders
    from mnist_client.volume.collecting import carry_out, plan
    from mnist_shared.errors import InvalidInput, VolumeError

    context = context_of(ctx, json=json)
    if keep is not None and keep < 1:
        raise InvalidInput(f"--keep: {keep} is less than 1.", hint="To remove the last one too, say --all.")
    if keep is not None and everything:
        raise InvalidInput("--keep and --all contradict each other.", hint="Give one of them.")
    if older_than is not None and not older_than >= 0:
        raise InvalidInput(f"--older-than: {older_than:g} is less than 0.", hint="Give a number of days.")
    found = [
        plan(
            folder,
            keep=0 if everything else keep or 1,
            older_than_seconds=None if older_than is None else older_than * 86_400,
        )
        for folder in ended_folders(context, runs, everything=everything)
    ]
    wanted = [collection for collection in found if not collection.is_empty]
    will = not dry_run and bool(wanted) and (yes or _agreed(context, wanted))
    stayed = [path for collection in wanted for path in (carry_out(collection) if will else [])]
    if context.json:
        rows = [collection_document(collection) for collection in wanted]
        document = {"removed": will, "num_bytes": sum(one.num_bytes for one in wanted), "runs": rows}
        context.output.data(json_text.dumps(document))
    elif will or dry_run:
        for collection in wanted:
            context.output.data(collection_line(collection, done=will))
    if wanted and (will or dry_run):
        total = f"{num_bytes(sum(c.num_bytes for c in wanted))} of {plural(len(wanted), 'run')}"
        context.output.talk(f"{total} freed" if will else f"{total} would be freed; nothing was removed")
    elif not wanted:
        context.output.talk("nothing to remove")
    if stayed:
        raise VolumeError(
            f"{plural(len(stayed), 'file')} could not be removed, such as {stayed[0]}.",
            hint="Run this as the user that the workers run as.",
        )
    return exits.OK


def _agreed(context: CommandContext, wanted: "list[Collection]") -> bool:
    """Show what would go and ask. Raises InvalidInput where nobody can answer."""
    from mnist_client.rendering.checkpoints import collection_line
    from mnist_client.rendering.wording import num_bytes, plural
    from mnist_shared.errors import InvalidInput

    total = num_bytes(sum(collection.num_bytes for collection in wanted))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput(
            f"This would remove {total} of {plural(len(wanted), 'run')}, and there is no terminal to ask at.",
            hint="Say --yes, or --dry-run to see what would go.",
        )
    for collection in wanted:
        print(collection_line(collection, done=False), file=sys.stderr)
    return typer.confirm(f"Remove {total} of {plural(len(wanted), 'run')}?", err=True)


def _list_all(context: CommandContext, *, verify: bool) -> None:
    from datetime import UTC, datetime

    from mnist_client.rendering.checkpoints import summary_document, summary_lines
    from mnist_client.rendering.wording import num_bytes, plural
    from mnist_client.volume.overview import summaries

    found = summaries(context, verify=verify)
    if context.json:
        context.output.data(json_text.dumps([summary_document(run) for run in found]))
    elif found:
        paper = context.output.paper(sys.stdout)
        context.output.data("\n".join(summary_lines(found, now=datetime.now(UTC), paper=paper)))
    total = num_bytes(sum(run.num_bytes for run in found))
    context.output.talk(f"{plural(len(found), 'run')}, {total} in {context.settings.runs_dir}")
