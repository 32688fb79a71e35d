"""`submit train`, `submit resume`, `submit evaluate`: send a run to the queue."""

import typer

from mnist_client import options
from mnist_client.commands.resume import resume
from mnist_client.context import context_of
from mnist_client.help_sections import SectionedCommand
from mnist_client.wish_options import sends_a_run, sends_an_evaluation

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


@app.command(cls=SectionedCommand)
@sends_a_run
def train(
    ctx: typer.Context,
    preset: options.Preset = None,
    dataset: options.Dataset = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    test_batch_size: options.TestBatchSize = None,
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
    network: options.Network = None,
    widths: options.Widths = None,
    batch_norm_momentum: options.BatchNormMomentum = None,
    drop_last: options.DropLast = None,
    schedule: options.Schedule = None,
    warm_up: options.WarmUp = None,
    beta1: options.Beta1 = None,
    beta2: options.Beta2 = None,
    weight_decay: options.WeightDecay = None,
    label_smoothing: options.LabelSmoothing = None,
    shift: options.Shift = None,
    rotate: options.Rotate = None,
    scale: options.Scale = None,
    shear: options.Shear = None,
    ema: options.Ema = None,
    json: options.Json = False,
) -> int:
    """Train a network from scratch: the reference network, or with --preset a quicker or a more accurate one.

    \b
    Example:
      mnist-client submit train --epochs 3 --follow
      mnist-client submit train --preset fast --then evaluate --follow
      mnist-client submit train --dataset ./my-digits --seed 2 --plan
    """
    from mnist_client.datasets import with_staged_dataset
    from mnist_client.sending import send_from
    from mnist_shared.contracts.config import make_train_config
    from mnist_shared.contracts.requests import TrainRequest

    context = context_of(ctx, json=json)
    flags = with_staged_dataset(context, options.given(ctx))
    file = context.configuration.train
    request = TrainRequest(config=make_train_config(**{**file, **flags}))
    return send_from(ctx, context, request, flags=flags, file=file)


app.command("resume", cls=SectionedCommand)(resume)


@app.command(cls=SectionedCommand)
@sends_an_evaluation
def evaluate(
    ctx: typer.Context,
    subject: options.Subject = "last",
    checkpoint: options.EvaluatedCheckpoint = None,
    dataset: options.OtherDataset = None,
    test_batch_size: options.AsBeforeTestBatchSize = None,
    no_cuda: options.AsBeforeNoCuda = None,
    no_mps: options.AsBeforeNoMps = None,
    json: options.Json = False,
) -> int:
    """Evaluate a run's last checkpoint, or another one, or a model file, on the test set.

    \b
    Example:
      mnist-client submit evaluate 3f2a --wait
      mnist-client submit evaluate brisk-otter --checkpoint best
    """
    from mnist_client.evaluating import find_subject, request_for
    from mnist_client.sending import send_from

    context, flags = context_of(ctx, json=json), options.given(ctx)
    found = find_subject(context, subject, checkpoint=checkpoint)
    request = request_for(context, found, flags, checkpoint=checkpoint)
    return send_from(ctx, context, request, flags=flags)
