"""`export`: have a trained network written as other programs read it, and fetch the file."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import exits, options
from mnist_client.completion import FORMATS, one_of
from mnist_client.context import context_of

if TYPE_CHECKING:
    from mnist_shared.contracts.requests import Which

CARD_SUFFIX = ".md"
FILE_SUFFIXES = (*(f".{name}" for name in FORMATS), ".pt", ".pth")  # by which a file's path is told from a folder's


def export(
    ctx: typer.Context,
    file_format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="safetensors, torchscript, or onnx.", autocompletion=one_of(*FORMATS)
        ),
    ],
    run: options.TrainingRun = "last",
    checkpoint: options.Checkpoint = "last",
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Where to copy it to: a file, or a folder, in which it gets the run's id as its name.",
        ),
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json: options.Json = False,
) -> int:
    """Write a run's network as other programs read it.

    Waits, copies the file here, and prints its path. Its worker compares the file's answers with the network's own on
    the whole test set. A model card lies beside it: configuration, data, accuracy, versions.

    \b
    Example:
      mnist-client export last --format onnx
      mnist-client export brisk-otter --format safetensors --checkpoint best --output models
    """
    from mnist_client.lineage import find_training_run
    from mnist_client.rendering.wording import outcome
    from mnist_client.results import result_of
    from mnist_client.sending import tell
    from mnist_client.staying import ended_record
    from mnist_client.submission import submit
    from mnist_client.targets import export_request, format_of, which_of
    from mnist_client.volume.fetching import Copy, check_free, fetch
    from mnist_client.volume.sight import run_folder
    from mnist_shared.contracts.runs import ExportResult

    context, wanted, which = context_of(ctx, json=json), format_of(file_format), which_of(checkpoint)
    target = find_training_run(context.store, run)
    request = export_request(target, wanted, checkpoint=which)
    run_folder(context, target)  # whoever cannot see that one will not see the export's
    path = _path(output, run_id=target.id, which=which, suffix=f".{wanted}")
    card = path.with_name(path.name + CARD_SUFFIX)  # of several formats in one folder each has its own
    check_free((path, card), force=force)
    sent = submit(context.store, request)
    tell(context, sent, what=f"exporting run {target.id} as {{}}")
    record = ended_record(context, sent.run_id)
    result = result_of(record, ExportResult)
    source = run_folder(context, record).export
    fetch([Copy(source / result.card, card), Copy(source / result.file, path, result.sha256)], force=force)
    if context.json:
        context.output.data(json_text.dumps({"path": str(path), "card": str(card), **_facts(result)}))
    else:
        context.output.data(str(path))
    context.output.talk(f"{outcome(result)}; card {card}")
    return exits.OK


def _path(output: Path, *, run_id: str, which: "Which", suffix: str) -> Path:
    """Where the file is to lie: `output` itself, unless it is a folder, or looks like one."""
    if output.suffix.lower() in FILE_SUFFIXES and not output.is_dir():
        return output
    return output / f"{run_id}{'' if which == 'last' else f'-{which}'}{suffix}"


def _facts(result: object) -> dict[str, object]:
    from mnist_shared.contracts.runs import ExportResult

    assert isinstance(result, ExportResult)
    return result.model_dump(mode="json", exclude={"schema_version", "card", "file"})
