"""Every argument of a training run, with its unit, bounds and default. The one place where they are written down."""

from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError

from mnist_shared.contracts.base import Contract, describe
from mnist_shared.errors import InvalidInput

DatasetName = Literal["mnist", "fashion-mnist", "kmnist", "digits"]
DATASET_NAMES: tuple[str, ...] = get_args(DatasetName)


FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class TrainConfig(Contract):
    """The configuration of a training run. Same configuration, data, device kind and thread count: same weights.

    The defaults are those of the reference script; the learning rate and the number of epochs are those with which it
    publishes 99.27 %.
    """

    dataset: DatasetName = Field(
        "mnist", description="which data set: mnist, fashion-mnist, kmnist, or digits (offline)"
    )
    batch_size: int = Field(64, ge=1, le=60_000, description="images per optimiser step")
    test_batch_size: int = Field(1000, ge=1, le=60_000, description="images per evaluation batch, at most")
    epochs: int = Field(15, ge=1, le=10_000, description="passes over the training set, in total")
    lr: FiniteFloat = Field(0.001, gt=0, le=10, description="learning rate of Adam in the first epoch")
    gamma: FiniteFloat = Field(0.7, gt=0, le=1, description="factor on the learning rate after each epoch")
    no_cuda: bool = Field(False, description="do not use an NVIDIA GPU")
    no_mps: bool = Field(False, description="do not use an Apple GPU")
    dry_run: bool = Field(False, description="one batch, then stop; nothing is saved")
    seed: int = Field(1, ge=0, le=2**32 - 1, description="seed of initial weights, order of images and dropout")
    deterministic: bool = Field(True, description="on a GPU, only algorithms that give the same bits each time")
    log_interval: int = Field(10, ge=1, le=1_000_000, description="batches between progress events")
    save_model: bool = Field(True, description="write a checkpoint after each epoch, and the model at the end")
    resume: bool = Field(True, description="an attempt continues from the run's last checkpoint")
    checkpoint_every_seconds: FiniteFloat = Field(
        30.0, ge=0, le=86_400, description="seconds between checkpoints within an epoch; 0: only after each epoch"
    )
    keep_last: int = Field(2, ge=1, le=10_000, description="checkpoints kept on the volume")
    validation_size: int = Field(
        0, ge=0, le=50_000, description="training images held out to choose the best checkpoint; 0: none"
    )


def make_train_config(**arguments: object) -> TrainConfig:
    """A configuration from what a user typed.

    Raises:
        InvalidInput: an argument is unknown, of the wrong type or out of bounds; the message names it as an option.
    """
    try:
        return TrainConfig.model_validate(arguments)
    except ValidationError as error:
        field, _, problem = describe(error).partition(": ")
        raise InvalidInput(
            f"--{field.replace('_', '-')}: {problem}.", hint="See `mnist-client submit train --help` for the bounds."
        ) from error
