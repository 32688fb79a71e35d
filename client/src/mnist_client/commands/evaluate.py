"""`evaluate`: submit an evaluation, wait for it, print what came of it, fetch its report."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import CommandContext, context_of

PAGE = "report.html"
FILES = ("report.json", PAGE, "confusion.png", "mistakes.png", "calibration.png")


def evaluate(
    ctx: typer.Context,
    subject: options.Subject = "last",
    checkpoint: options.EvaluatedCheckpoint = None,
    dataset: options.OtherDataset = None,
    test_batch_size: options.AsBeforeTestBatchSize = None,
    no_cuda: options.AsBeforeNoCuda = None,
    no_mps: options.AsBeforeNoMps = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Exit with 104 when the accuracy is lower. [0 to 100]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Copy the report and its pictures to this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Show the report in a browser.")] = False,
    json: options.Json = False,
) -> int:
    """Evaluate a run's checkpoint or a model file, wait, and print the result.

    That is the accuracy with its 95 % interval, the loss and the calibration error, then the confusion matrix and each
    class's scores. The report is a page of its own: report.html. A model file is an export, a pulled checkpoint, or a
    run's model; it is copied to the shared volume. Where it does not say what it was trained on, --dataset must.

    \b
    Example:
      mnist-client evaluate last --min-accuracy 99.2
      mnist-client evaluate brisk-otter --checkpoint 3 --open
      mnist-client evaluate --dataset fashion-mnist --output report
      mnist-client evaluate ./model.safetensors --min-accuracy 99.2
    """
    from mnist_client.evaluating import find_subject, request_for
    from mnist_client.results import result_of
    from mnist_client.sending import tell
    from mnist_client.staying import ended_record
    from mnist_client.submission import submit
    from mnist_client.volume.fetching import Copy, check_free, fetch
    from mnist_client.volume.sight import run_folder
    from mnist_shared.contracts.runs import EvaluateResult, RunRecord

    _check_gate(min_accuracy)
    context = context_of(ctx, json=json)
    found = find_subject(context, subject, checkpoint=checkpoint)
    if isinstance(found, RunRecord) and (output is not None or open_page):
        run_folder(context, found)  # whoever cannot see that one will not see the report's
    if output is not None:
        check_free((output / name for name in FILES), force=force)
    request = request_for(context, found, options.given(ctx), checkpoint=checkpoint)
    sent = submit(context.store, request)
    tell(context, sent, what=f"evaluating {request.file.name if request.file else f'run {request.target}'} as {{}}")
    record = ended_record(context, sent.run_id)
    result = result_of(record, EvaluateResult)
    context.output.data(result.model_dump_json() if context.json else "\n".join(_lines(context, result)))
    if output is not None or open_page:
        source = run_folder(context, record).evaluation
        if output is not None:
            fetch([Copy(source / name, output / name) for name in FILES], force=force)
            context.output.talk(f"report in {output}")
        if open_page:
            _open(context, (output or source) / PAGE)
    if min_accuracy is not None and 100 * result.correct < min_accuracy * result.total:
        context.output.error(f"The accuracy {100 * result.accuracy:.2f}% is below --min-accuracy {min_accuracy:g}%.")
        return exits.GATE_MISSED
    return exits.OK


def _check_gate(min_accuracy: float | None) -> None:
    from mnist_shared.errors import InvalidInput

    if min_accuracy is not None and not 0 <= min_accuracy <= 100:
        raise InvalidInput(
            f"--min-accuracy: {min_accuracy:g} is no percentage.", hint="Give a number from 0 to 100, such as 99.2."
        )


def _lines(context: CommandContext, result: object) -> list[str]:
    from mnist_client.rendering.report import report_lines
    from mnist_client.rendering.wording import evaluation, model_file
    from mnist_shared.contracts.runs import EvaluateResult

    assert isinstance(result, EvaluateResult)
    lines = [evaluation(result)]
    if result.file is not None and result.report is not None:
        context.output.talk(f"{model_file(result.file)}, on {result.report.dataset}")
    return lines if result.report is None else lines + report_lines(result.report, context.output.paper(sys.stdout))


def _open(context: CommandContext, page: Path) -> None:
    """Show it, or say where it is."""
    import webbrowser

    from mnist_shared.errors import VolumeError

    if not page.is_file():
        raise VolumeError(f"{page} is missing.", hint="Its worker is of an older version, or could not write it.")
    if webbrowser.open(page.resolve().as_uri()):
        context.output.talk(f"opened {page}")
    else:
        context.output.talk(f"there is no browser here; the report is {page}")
