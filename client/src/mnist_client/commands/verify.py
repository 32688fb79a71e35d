"""`verify`: train a run once more, and say whether the weights are the same."""

import sys

import typer

from mnist_client import exits, options
from mnist_client.context import context_of


def verify(ctx: typer.Context, run: options.TrainingRun = "last", json: options.Json = False) -> int:
    """Train a run once more, and compare the weights.

    It is trained from its recorded configuration. The exit code is 0 when they are identical, bit for bit, and 104 when
    they differ. A run that was resumed is trained again from the checkpoint that it went on from. The epochs are shown
    on stderr.

    \b
    Example:
      mnist-client verify last
    """
    from mnist_client.lineage import find_training_run
    from mnist_client.rendering.wording import verdict
    from mnist_client.results import result_of
    from mnist_client.sending import tell
    from mnist_client.staying import ended_record
    from mnist_client.submission import submit
    from mnist_client.targets import verify_request
    from mnist_client.waiting import follow_and_show
    from mnist_shared.contracts.runs import VerifyResult

    context = context_of(ctx, json=json)
    target = find_training_run(context.store, run)
    sent = submit(context.store, verify_request(target))
    tell(context, sent, what=f"verifying run {target.id} as {{}}")
    if not (context.json or context.quiet):
        follow_and_show(context, sent.run_id, stream=sys.stderr)
    result = result_of(ended_record(context, sent.run_id), VerifyResult)
    if context.json:
        context.output.data(result.model_dump_json())
    else:
        differences = [f"environment: {words}" for words in result.environment]
        context.output.data("\n".join([verdict(result), *differences]))
    return exits.OK if result.identical else exits.GATE_MISSED
