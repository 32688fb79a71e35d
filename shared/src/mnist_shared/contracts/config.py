"""Every argument of a training run, with its unit, bounds and default; and the presets. The one place for both."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from mnist_shared.contracts.base import Contract, describe
from mnist_shared.contracts.names import matches
from mnist_shared.errors import InvalidInput

KnownDataset = Literal["mnist", "fashion-mnist", "kmnist", "digits"]
DATASET_NAMES: tuple[str, ...] = get_args(KnownDataset)
OWN_DATASET_PATTERN = r"^own/[A-Za-z0-9][A-Za-z0-9_-]{0,39}-[0-9a-f]{12}$"  # a user's, on the shared volume
OwnDataset = Annotated[str, StringConstraints(pattern=OWN_DATASET_PATTERN)]
DatasetName = KnownDataset | OwnDataset
PresetName = Literal["reference", "fast", "accurate"]
PRESET_NAMES: tuple[str, ...] = get_args(PresetName)

FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Width = Annotated[int, Field(ge=1, le=1024)]

# What has a meaning with one value of another argument only, and stays at its default otherwise.
_APPLIES_WITH: Final = {
    "widths": ("network", "compact"),
    "batch_norm_momentum": ("network", "compact"),
    "gamma": ("schedule", "step"),
    "warm_up": ("schedule", "one-cycle"),
}


def is_dataset_name(text: str) -> bool:
    """Whether a data set can be called so."""
    return text in DATASET_NAMES or matches(text, OWN_DATASET_PATTERN)


class TrainConfig(Contract):
    """The configuration of a training run. Same configuration, data, device kind and thread count: same weights.

    The defaults are those of the reference script; the learning rate and the number of epochs are those with which it
    publishes 99.27 %. It is complete: nothing is looked up in the preset that it was made from.
    """

    preset: PresetName = Field("reference", description="what the other arguments default to")
    dataset: DatasetName = Field(
        "mnist", description="which data set: mnist, fashion-mnist, kmnist, digits (offline), or one of your own"
    )
    network: Literal["reference", "compact"] = Field(
        "reference", description="the reference script's network, or a small one with batch normalisation"
    )
    widths: tuple[Width, Width, Width, Width] = Field(
        (16, 32, 32, 64), description="channels of the compact network's four convolutions"
    )
    batch_norm_momentum: FiniteFloat = Field(
        0.1, gt=0, le=1, description="weight of the latest batch in the compact network's running statistics"
    )
    batch_size: int = Field(64, ge=1, le=60_000, description="images per optimiser step")
    drop_last: bool = Field(False, description="leave out an epoch's last batch when it is short")
    test_batch_size: int = Field(1000, ge=1, le=60_000, description="images per evaluation batch, at most")
    epochs: int = Field(15, ge=1, le=10_000, description="passes over the training set, in total")
    schedule: Literal["step", "one-cycle"] = Field(
        "step", description="the learning rate falls by gamma each epoch, or rises and falls once over the whole run"
    )
    lr: FiniteFloat = Field(0.001, gt=0, le=10, description="learning rate of Adam: the highest of the run")
    gamma: FiniteFloat = Field(0.7, gt=0, le=1, description="factor on the learning rate after each epoch (step)")
    warm_up: FiniteFloat = Field(
        0.3, ge=0, le=1, description="share of the steps in which the learning rate rises (one-cycle)"
    )
    beta1: FiniteFloat = Field(0.9, ge=0, lt=1, description="decay of Adam's mean of gradients, a step")
    beta2: FiniteFloat = Field(0.999, ge=0, lt=1, description="decay of Adam's mean of squared gradients, a step")
    weight_decay: FiniteFloat = Field(
        0.0, ge=0, le=10, description="decoupled from the gradients, as in AdamW: a step takes lr times this off"
    )
    label_smoothing: FiniteFloat = Field(
        0.0, ge=0, lt=1, description="share of each target that is spread over all classes"
    )
    shift: int = Field(
        0, ge=0, le=14, description="pixels by which a training image is moved, at most; whole ones if it is not turned"
    )
    rotate: FiniteFloat = Field(0.0, ge=0, le=180, description="degrees by which a training image is turned, at most")
    scale: FiniteFloat = Field(
        0.0, ge=0, lt=1, description="share by which a training image is made larger or smaller, at most"
    )
    shear: FiniteFloat = Field(0.0, ge=0, lt=90, description="degrees by which a training image is slanted, at most")
    ema: FiniteFloat = Field(
        0.0, ge=0, lt=1, description="decay, a step, of the averaged weights that are evaluated and saved; 0: none"
    )
    no_cuda: bool = Field(False, description="do not use an NVIDIA GPU")
    no_mps: bool = Field(False, description="do not use an Apple GPU")
    dry_run: bool = Field(False, description="one batch, then stop; nothing is saved")
    seed: int = Field(1, ge=0, le=2**32 - 1, description="seed of all that is drawn: weights, order, dropout ...")
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

    @field_validator(*_APPLIES_WITH)
    @classmethod
    def _applies(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name
        owner, needed = _APPLIES_WITH[info.field_name]
        default = cls.model_fields[info.field_name].default
        if info.data.get(owner, needed) != needed and value != default:
            raise PydanticCustomError(
                "inapplicable",
                "Input should be left at {default} without --{owner} {needed}",
                {"default": _written(default), "owner": owner, "needed": needed},
            )
        return value


_FAST: Final = TrainConfig(
    preset="fast",
    network="compact",
    widths=(16, 32, 32, 64),
    batch_norm_momentum=0.3,
    batch_size=128,
    drop_last=True,
    epochs=2,
    schedule="one-cycle",
    lr=0.01,
    warm_up=0.3,
    beta1=0.7,
    beta2=0.9,
    label_smoothing=0.1,
    shift=1,
    rotate=8.0,
    scale=0.08,
    shear=4.0,
    ema=0.98,
)
_ACCURATE: Final = {"preset": "accurate", "widths": (32, 64, 64, 96), "batch_size": 256, "epochs": 8, "ema": 0.0}
# What `--preset` stands for: whole configurations. `reference` is the defaults above.
PRESETS: Final[Mapping[PresetName, TrainConfig]] = MappingProxyType(
    {"reference": TrainConfig(), "fast": _FAST, "accurate": _FAST.model_copy(update=_ACCURATE)}
)


def make_train_config(**arguments: object) -> TrainConfig:
    """A configuration from what a user typed: `preset` in full (reference, where none is named), with the rest over it.

    `widths` may be written "16,32,32,64".

    Raises:
        InvalidInput: an argument is unknown, of the wrong type or out of bounds, or has no meaning with the others; the
            message names it as an option.
    """
    named = arguments.get("preset", "reference")
    preset = next((config for name, config in PRESETS.items() if name == named), PRESETS["reference"])
    expanded = preset.model_dump() | arguments
    if isinstance(widths := expanded["widths"], str):
        expanded["widths"] = _widths(widths)
    for name, (owner, needed) in _APPLIES_WITH.items():
        # What the preset has of its own goes with the part that it was for: --preset fast --network reference.
        if name not in arguments and expanded.get(owner) != needed:
            expanded.pop(name, None)
    try:
        return TrainConfig.model_validate(expanded)
    except ValidationError as error:
        field, _, problem = describe(error).partition(": ")
        raise InvalidInput(
            f"--{field.partition('.')[0].replace('_', '-')}: {problem}.",
            hint="See `mnist-client submit train --help` for the bounds.",
        ) from error


def _widths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdecimal() and len(part) < 9 for part in parts):
        raise InvalidInput(f"--widths: {text!r} is not four numbers.", hint="Give four like 16,32,32,64.")
    return tuple(int(part) for part in parts)


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
