"""`evaluate`: submit an evaluation, wait for it, print what came of it."""

from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import context_of


def evaluate(
    ctx: typer.Context,
    run: options.TrainingRun = "last",
    test_batch_size: options.AsBeforeTestBatchSize = None,
    no_cuda: options.AsBeforeNoCuda = None,
    no_mps: options.AsBeforeNoMps = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Exit with 104 when the accuracy is lower. [0 to 100]"),
    ] = None,
    json: options.Json = False,
) -> int:
    """Evaluate a run's last checkpoint, wait, and print the result.

    \b
    Example:
      mnist-client evaluate last --min-accuracy 99.2
    """
    from mnist_client.lineage import evaluate_request, find_training_run
    from mnist_client.rendering.wording import evaluation, failure
    from mnist_client.sending import ended, tell
    from mnist_client.staying import ended_record
    from mnist_client.submission import submit
    from mnist_shared.contracts.runs import EvaluateResult
    from mnist_shared.errors import InvalidInput

    if min_accuracy is not None and not 0 <= min_accuracy <= 100:
        raise InvalidInput(
            f"--min-accuracy: {min_accuracy:g} is no percentage.", hint="Give a number from 0 to 100, such as 99.2."
        )
    context = context_of(ctx, json=json)
    target = find_training_run(context.store, run)
    sent = submit(context.store, evaluate_request(target, options.given(ctx)))
    tell(context, sent, what=f"evaluating run {target.id} as {{}}")
    record = ended_record(context, sent.run_id)
    code = exits.of_state(record.state)
    if not isinstance(record.result, EvaluateResult):
        why = failure(record.error) if record.error is not None else ""
        why = why or f"See `{context.command(f'status {record.id}')}`."
        context.output.error(f"The evaluation {record.id} {ended(record.state)}. {why}")
        return code
    context.output.data(record.result.model_dump_json() if context.json else evaluation(record.result))
    if min_accuracy is not None and 100 * record.result.correct < min_accuracy * record.result.total:
        context.output.error(
            f"The accuracy {100 * record.result.accuracy:.2f}% is below --min-accuracy {min_accuracy:g}%."
        )
        return exits.GATE_MISSED
    return code
