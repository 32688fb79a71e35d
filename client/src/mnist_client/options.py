"""The options and arguments that several commands share, and those of a training configuration.

Defaults and bounds stand here as text: help must not wait for pydantic. `contracts.config.TrainConfig` is where they
apply, and a test holds the two together.
"""

from typing import Annotated

import typer

from mnist_client.completion import CHECKPOINTS, DATASETS, PRESETS, complete_runs, complete_subjects, one_of

RUN_PANEL = "Options of the run itself"  # apart from those of its configuration

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow", "-f", help="Follow the run until it ends; the progress goes to stderr.", rich_help_panel=RUN_PANEL
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait in silence until the run ends.", rich_help_panel=RUN_PANEL)]

_LAST = "`last`, or `last~1` for the one before; the canaries of `doctor` do not count."
RUN_HELP = f"A run: its name, its id or the beginning of it, {_LAST}"
Run = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=True, autocompletion=complete_runs)]
TRAINING_HELP = f"A training run: its name, its id or the beginning of it, {_LAST} [default: last]"
TrainingRun = Annotated[
    str, typer.Argument(metavar="RUN", help=TRAINING_HELP, show_default=False, autocompletion=complete_runs)
]
Runs = Annotated[list[str], typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_runs)]
AnyRuns = Annotated[list[str] | None, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_runs)]

# ---- submit train: the defaults are those of --preset reference ------------------------------------------------------

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="reference, fast, or accurate: what all the others default to. [default: reference]",
        autocompletion=one_of(*PRESETS),
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|DIR",
        help="mnist, fashion-mnist, kmnist, digits (offline), or a folder with your own. [default: mnist]",
        autocompletion=one_of(*DATASETS),
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NAME",
        help="reference, or compact with batch normalisation. [default: reference]",
        autocompletion=one_of("reference", "compact"),
    ),
]
Widths = Annotated[
    str | None,
    typer.Option(
        "--widths",
        metavar="N,N,N,N",
        help="Channels of the compact network's convolutions. [default: 16,32,32,64; 1 to 1024 each]",
    ),
]
BatchNormMomentum = Annotated[
    float | None,
    typer.Option(
        "--batch-norm-momentum",
        metavar="SHARE",
        help="Weight of the latest batch in the compact network's running statistics. [default: 0.1; above 0, to 1]",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="IMAGES", help="Per optimiser step. [default: 64; 1 to 60000]")
]
DropLast = Annotated[
    bool | None,
    typer.Option("--drop-last/--no-drop-last", help="Leave out an epoch's last batch when it is short. [default: off]"),
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
Schedule = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        metavar="NAME",
        help="step: the learning rate falls by gamma after each epoch; one-cycle: it rises and falls once in the run. "
        "[default: step]",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr", metavar="RATE", help="Learning rate of Adam: the highest of the run. [default: 0.001; above 0, to 10]"
    ),
]
Gamma = Annotated[
    float | None,
    typer.Option(
        "--gamma", metavar="FACTOR", help="On the learning rate after each epoch (step). [default: 0.7; above 0, to 1]"
    ),
]
WarmUp = Annotated[
    float | None,
    typer.Option(
        "--warm-up",
        metavar="SHARE",
        help="Of the steps, in which the learning rate rises (one-cycle). [default: 0.3; 0 to 1]",
    ),
]
Beta1 = Annotated[
    float | None,
    typer.Option("--beta1", metavar="DECAY", help="Of Adam's mean of gradients, a step. [default: 0.9; 0 to below 1]"),
]
Beta2 = Annotated[
    float | None,
    typer.Option(
        "--beta2", metavar="DECAY", help="Of Adam's mean of squared gradients, a step. [default: 0.999; 0 to below 1]"
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        "--weight-decay",
        metavar="SHARE",
        help="A step takes the learning rate times this off each weight, as in AdamW. [default: 0; 0 to 10]",
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        "--label-smoothing",
        metavar="SHARE",
        help="Of each target, spread over all classes. [default: 0; 0 to below 1]",
    ),
]
Shift = Annotated[
    int | None,
    typer.Option(
        "--shift", metavar="PIXELS", help="By which a training image is moved, at most. [default: 0; 0 to 14]"
    ),
]
Rotate = Annotated[
    float | None,
    typer.Option(
        "--rotate", metavar="DEGREES", help="By which a training image is turned, at most. [default: 0; 0 to 180]"
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(
        "--scale",
        metavar="SHARE",
        help="By which a training image is made larger or smaller, at most. [default: 0; 0 to below 1]",
    ),
]
Shear = Annotated[
    float | None,
    typer.Option(
        "--shear",
        metavar="DEGREES",
        help="By which a training image is slanted, at most. [default: 0; 0 to below 90]",
    ),
]
Ema = Annotated[
    float | None,
    typer.Option(
        "--ema",
        metavar="DECAY",
        help="A step, of averaged weights, which are then evaluated and saved; 0: none. [default: 0; 0 to below 1]",
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
        "--seed",
        metavar="N",
        help="Of all that is drawn: weights, order, dropout. [default: 1; 0 to 4294967295]",
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

# ---- evaluate, predict, export: of a run that has trained ------------------------------------------------------------

Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="last|best|EPOCH",
        help="Which one: the last, the best (with --validation-size), or of an epoch. [default: last]",
        show_default=False,
        autocompletion=one_of(*CHECKPOINTS),
    ),
]
EvaluatedCheckpoint = Annotated[str | None, *Checkpoint.__metadata__]
Subject = Annotated[
    str,
    typer.Argument(
        metavar="RUN|FILE",
        help="A training run: its name, its id or the beginning of it, `last`, or `last~1`. Or a model file: "
        ".safetensors, .onnx, .pt, .torchscript. [default: last]",
        show_default=False,
        autocompletion=complete_subjects,
    ),
]
OtherDataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|DIR",
        help="Another data set, or a folder with your own. The images are normalised as the network's training set; as "
        "this one where a model file names none. [default: as the run, or as the file says]",
        autocompletion=one_of(*DATASETS),
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
    "preset",
    "dataset",
    "network",
    "widths",
    "batch_norm_momentum",
    "batch_size",
    "drop_last",
    "test_batch_size",
    "epochs",
    "schedule",
    "lr",
    "gamma",
    "warm_up",
    "beta1",
    "beta2",
    "weight_decay",
    "label_smoothing",
    "shift",
    "rotate",
    "scale",
    "shear",
    "ema",
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
