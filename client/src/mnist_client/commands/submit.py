"""`submit train`, `submit resume`, `submit evaluate`: send a run to the queue."""

import typer

from mnist_client import options
from mnist_client.context import context_of

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def submit(ctx: typer.Context) -> None:
    """Send a run to the queue, and print its id.

    \b
    Example:
      mnist-client submit train --epochs 3 --follow
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


@app.command()
def train(
    ctx: typer.Context,
    dataset: options.Dataset = None,
    batch_size: options.BatchSize = None,
    test_batch_size: options.TestBatchSize = None,
    epochs: options.Epochs = None,
    lr: options.LearningRate = None,
    gamma: options.Gamma = None,
    no_cuda: options.NoCuda = None,
    no_mps: options.NoMps = None,
    dry_run: options.DryRun = None,
    seed: options.Seed = None,
    deterministic: options.Deterministic = None,
    log_interval: options.LogInterval = None,
    save_model: options.SaveModel = None,
    resume: options.Resume = None,
    checkpoint_every_seconds: options.CheckpointEverySeconds = None,
    keep_last: options.KeepLast = None,
    validation_size: options.ValidationSize = None,
    follow: options.Follow = False,
    wait: options.Wait = False,
    json: options.Json = False,
) -> int:
    """Train the network from scratch.

    \b
    Example:
      mnist-client submit train --epochs 3 --follow
    """
    from mnist_client.submission import send
    from mnist_shared.contracts.config import make_train_config
    from mnist_shared.contracts.requests import TrainRequest

    request = TrainRequest(config=make_train_config(**options.given(ctx)))
    return send(context_of(ctx, json=json), request, follow=follow, wait=wait)


@app.command()
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
    follow: options.Follow = False,
    wait: options.Wait = False,
    json: options.Json = False,
) -> int:
    """Train on from a run's last checkpoint, as a run of its own.

    A run that failed or was cancelled goes on to the epochs it was asked for; one that succeeded needs a larger total.

    \b
    Example:
      mnist-client submit resume last --epochs 20 --follow
    """
    from mnist_client.lineage import find_training_run, resume_request
    from mnist_client.submission import send

    context = context_of(ctx, json=json)
    request = resume_request(find_training_run(context.store, run), options.given(ctx))
    return send(context, request, follow=follow, wait=wait)


@app.command()
def evaluate(
    ctx: typer.Context,
    run: options.TrainingRun = "last",
    test_batch_size: options.AsBeforeTestBatchSize = None,
    no_cuda: options.AsBeforeNoCuda = None,
    no_mps: options.AsBeforeNoMps = None,
    follow: options.Follow = False,
    wait: options.Wait = False,
    json: options.Json = False,
) -> int:
    """Evaluate a run's last checkpoint on the test set.

    \b
    Example:
      mnist-client submit evaluate 3f2a --wait
    """
    from mnist_client.lineage import evaluate_request, find_training_run
    from mnist_client.submission import send

    context = context_of(ctx, json=json)
    request = evaluate_request(find_training_run(context.store, run), options.given(ctx))
    return send(context, request, follow=follow, wait=wait)
