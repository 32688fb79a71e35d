"""`resume`, which is `submit resume` too: train on from a run's last checkpoint."""

import typer

from mnist_client import options
from mnist_client.context import context_of
from mnist_client.wish_options import sends_a_run


@sends_a_run
def resume(
    ctx: typer.Context,
    run: options.TrainingRun = "last",
    epochs: options.TotalEpochs = None,
    test_batch_size: options.AsBeforeTestBatchSize = None,
    no_cuda: options.AsBeforeNoCuda = None,
    no_mps: options.AsBeforeNoMps = None,
    log_interval: options.AsBeforeLogInterval = None,
    save_model: options.AsBeforeSaveModel = None,
    checkpoint_every_seconds: options.AsBeforeCheckpointEverySeconds = None,
    keep_last: options.AsBeforeKeepLast = None,
    json: options.Json = False,
) -> int:
    """Train on from a run's last checkpoint, as a run of its own.

    A run that failed or was cancelled goes on to the epochs it was asked for; one that succeeded needs a larger total.
    `resume` and `submit resume` are the same.

    \b
    Example:
      mnist-client resume last --epochs 20 --follow
      mnist-client submit resume brisk-otter
    """
    from mnist_client.lineage import find_training_run, resume_request
    from mnist_client.sending import send_from

    context, flags = context_of(ctx, json=json), options.given(ctx)
    request = resume_request(find_training_run(context.store, run), flags)
    return send_from(ctx, context, request, flags=flags)
