"""Every argument of a training run: its name, default, bounds, and what is said of a wrong one."""

import pytest
from pydantic import ValidationError

from mnist_shared.contracts.config import PRESET_NAMES, PRESETS, TrainConfig, make_train_config
from mnist_shared.errors import InvalidInput

# The twelve arguments of the reference script, with the defaults that it publishes.
REFERENCE = {
    "batch_size": 64,
    "test_batch_size": 1000,
    "epochs": 15,
    "lr": 0.001,
    "gamma": 0.7,
    "no_cuda": False,
    "no_mps": False,
    "dry_run": False,
    "seed": 1,
    "log_interval": 10,
    "save_model": True,
    "resume": True,
}


def test_the_reference_arguments_have_the_reference_defaults() -> None:
    assert TrainConfig().model_dump(include=set(REFERENCE)) == REFERENCE


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 60_001),
        ("batch_size", "64"),
        ("batch_size", 64.0),
        ("batch_size", True),
        ("test_batch_size", 0),
        ("epochs", 0),
        ("epochs", 10_001),
        ("lr", 0.0),
        ("lr", -0.1),
        ("lr", 10.1),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("gamma", 0.0),
        ("gamma", 1.1),
        ("no_cuda", 1),
        ("dry_run", "yes"),
        ("seed", -1),
        ("seed", 2**32),
        ("log_interval", 0),
        ("checkpoint_every_seconds", -1.0),
        ("keep_last", 0),
        ("validation_size", 50_001),
        ("dataset", "imagenet"),
        ("preset", "slow"),
        ("preset", ["fast"]),
        ("network", "resnet"),
        ("schedule", "cosine"),
        ("beta1", 1.0),
        ("shift", 15),
        ("ema", 1.0),
        ("widths", "16,32"),
        ("widths", "16,32,32,many"),
        ("widths", (16, 32)),
        ("momentum", 0.9),
    ],
)
def test_what_is_out_of_bounds_or_of_the_wrong_type_is_refused_by_its_option_name(argument: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_train_config(**{argument: value})
    assert caught.value.message.startswith(f"--{argument.replace('_', '-')}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("batch_size", 60_000), ("epochs", 10_000), ("lr", 10.0), ("lr", 1), ("gamma", 1.0), ("seed", 2**32 - 1)],
)
def test_the_bounds_themselves_are_allowed(argument: str, value: object) -> None:
    assert getattr(make_train_config(**{argument: value}), argument) == value


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        TrainConfig().epochs = 3  # type: ignore[misc]


def test_every_argument_says_what_it_is() -> None:
    assert all(field.description for field in TrainConfig.model_fields.values())


def test_every_preset_is_a_whole_configuration_under_its_own_name() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert all(config.preset == name for name, config in PRESETS.items())
    assert PRESETS["reference"] == TrainConfig() == make_train_config()


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_preset_is_expanded_and_any_argument_goes_over_it(preset: str) -> None:
    assert make_train_config(preset=preset) == PRESETS[preset]  # type: ignore[index]
    changed = make_train_config(preset=preset, epochs=9, lr=0.5, seed=3, dataset="digits")
    assert changed == PRESETS[preset].model_copy(  # type: ignore[index]
        update={"epochs": 9, "lr": 0.5, "seed": 3, "dataset": "digits"}
    )


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_an_expanded_configuration_comes_back_from_json_and_from_its_own_fields(preset: str) -> None:
    config = make_train_config(preset=preset, seed=7)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    assert make_train_config(**config.model_dump() | {"seed": 7}) == config


def test_a_document_from_before_there_were_presets_is_the_reference() -> None:
    old = '{"dataset":"mnist","batch_size":64,"epochs":3,"lr":0.001,"gamma":0.7,"seed":1}'
    assert TrainConfig.model_validate_json(old) == TrainConfig(epochs=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": 0.5, "preset": "fast"}, "--gamma: Input should be left at 0.7 without --schedule step, not 0.5."),
        ({"warm_up": 0.1}, "--warm-up: Input should be left at 0.3 without --schedule one-cycle, not 0.1."),
        ({"widths": "8,8,8,8"}, "--widths: Input should be left at 16,32,32,64 without --network compact"),
        ({"batch_norm_momentum": 0.5}, "--batch-norm-momentum: Input should be left at 0.1 without --network compact"),
        ({"widths": "8,8,8,0", "preset": "fast"}, "--widths: Input should be greater than or equal to 1"),
    ],
)
def test_an_argument_without_a_meaning_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_train_config(**arguments)
    assert caught.value.message.startswith(message)


def test_what_a_preset_has_for_a_part_goes_with_that_part() -> None:
    config = make_train_config(preset="fast", network="reference", schedule="step", gamma=0.5)
    assert (config.network, config.widths, config.batch_norm_momentum) == ("reference", (16, 32, 32, 64), 0.1)
    assert (config.gamma, config.label_smoothing) == (0.5, 0.1)


def test_widths_may_be_written_as_text() -> None:
    assert make_train_config(preset="fast", widths="8, 16,16,32").widths == (8, 16, 16, 32)
