"""The options and arguments that several commands share, and those of a training configuration.

Defaults and bounds stand here as text: help must not wait for pydantic. `contracts.config.TrainConfig` is where they
apply, and a test holds the two together.
"""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Follow the run until it ends; the progress goes to stderr.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait in silence until the run ends.")]

RUN_HELP = "A run: its id or the beginning of it, `last`, or `last~1` for the one before."
Run = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=True)]
TRAINING_HELP = "A training run: its id or the beginning of it, `last`, or `last~1` for the one before."
TrainingRun = Annotated[str, typer.Argument(metavar="RUN", help=TRAINING_HELP)]
Runs = Annotated[list[str], typer.Argument(metavar="RUN", help=RUN_HELP)]

# ---- submit train --------------------------------------------------------------------------------------------------

Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset", metavar="NAME", help="mnist, fashion-mnist, kmnist, or digits (offline). [default: mnist]"
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="IMAGES", help="Per optimiser step. [default: 64; 1 to 60000]")
]
TestBatchSize = Annotated[
    int | None,
    typer.Option(
        "--test-batch-size", metavar="IMAGES", help="Per evaluation batch, at most. [default: 1000; 1 to 60000]"
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", help="Passes over the training set, in total. [default: 15; 1 to 10000]"),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr", metavar="RATE", help="Learning rate of Adam in the first epoch. [default: 0.001; above 0, to 10]"
    ),
]
Gamma = Annotated[
    float | None,
    typer.Option(
        "--gamma", metavar="FACTOR", help="On the learning rate after each epoch. [default: 0.7; above 0, to 1]"
    ),
]
NoCuda = Annotated[bool | None, typer.Option("--no-cuda", help="Do not use an NVIDIA GPU. [default: off]")]
NoMps = Annotated[bool | None, typer.Option("--no-mps", help="Do not use an Apple GPU. [default: off]")]
DryRun = Annotated[
    bool | None, typer.Option("--dry-run", help="One batch, then stop; nothing is saved. [default: off]")
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", help="Of initial weights, order of images and dropout. [default: 1; 0 to 4294967295]"
    ),
]
Deterministic = Annotated[
    bool | None,
    typer.Option(
        "--deterministic/--no-deterministic",
        help="On a GPU, only algorithms that give the same bits each time. [default: deterministic]",
    ),
]
LogInterval = Annotated[
    int | None,
    typer.Option("--log-interval", metavar="BATCHES", help="Between progress events. [default: 10; 1 to 1000000]"),
]
SaveModel = Annotated[
    bool | None,
    typer.Option(
        "--save-model/--no-save-model",
        help="Write a checkpoint after each epoch, and the model at the end. [default: save-model]",
    ),
]
Resume = Annotated[
    bool | None,
    typer.Option("--resume/--no-resume", help="An attempt continues from the run's last checkpoint. [default: resume]"),
]
CheckpointEverySeconds = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every-seconds",
        metavar="SECONDS",
        help="Between checkpoints within an epoch; 0: only after each epoch. [default: 30; 0 to 86400]",
    ),
]
KeepLast = Annotated[
    int | None,
    typer.Option("--keep-last", metavar="N", help="Checkpoints kept on the volume. [default: 2; 1 to 10000]"),
]
ValidationSize = Annotated[
    int | None,
    typer.Option(
        "--validation-size",
        metavar="IMAGES",
        help="Training images held out to choose the best checkpoint; 0: none. [default: 0; 0 to 50000]",
    ),
]

# ---- submit resume, submit evaluate: as the run that they go on from, where nothing is said --------------------------

TotalEpochs = Annotated[
    int | None,
    typer.Option(
        "--epochs", metavar="N", help="In total, the finished ones included. [default: as the run; 1 to 10000]"
    ),
]
AsBeforeTestBatchSize = Annotated[
    int | None,
    typer.Option(
        "--test-batch-size", metavar="IMAGES", help="Per evaluation batch, at most. [default: as the run; 1 to 60000]"
    ),
]
AsBeforeNoCuda = Annotated[
    bool | None, typer.Option("--no-cuda/--cuda", help="Do not use, or do use, an NVIDIA GPU. [default: as the run]")
]
AsBeforeNoMps = Annotated[
    bool | None, typer.Option("--no-mps/--mps", help="Do not use, or do use, an Apple GPU. [default: as the run]")
]
AsBeforeLogInterval = Annotated[
    int | None,
    typer.Option(
        "--log-interval", metavar="BATCHES", help="Between progress events. [default: as the run; 1 to 1000000]"
    ),
]
AsBeforeSaveModel = Annotated[
    bool | None,
    typer.Option(
        "--save-model/--no-save-model",
        help="Write a checkpoint after each epoch, and the model at the end. [default: as the run]",
    ),
]
AsBeforeCheckpointEverySeconds = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every-seconds",
        metavar="SECONDS",
        help="Between checkpoints within an epoch; 0: only after each epoch. [default: as the run; 0 to 86400]",
    ),
]
AsBeforeKeepLast = Annotated[
    int | None,
    typer.Option("--keep-last", metavar="N", help="Checkpoints kept on the volume. [default: as the run; 1 to 10000]"),
]

CONFIG_FIELDS = (
    "dataset",
    "batch_size",
    "test_batch_size",
    "epochs",
    "lr",
    "gamma",
    "no_cuda",
    "no_mps",
    "dry_run",
    "seed",
    "deterministic",
    "log_interval",
    "save_model",
    "resume",
    "checkpoint_every_seconds",
    "keep_last",
    "validation_size",
)


def given(ctx: typer.Context) -> dict[str, object]:
    """The configuration arguments that this command line gives, by field."""
    return {name: ctx.params[name] for name in CONFIG_FIELDS if ctx.params.get(name) is not None}
