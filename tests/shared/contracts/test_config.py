"""Every argument of a training run: its name, default, bounds, and what is said of a wrong one."""

import pytest
from pydantic import ValidationError

from mnist_shared.contracts.config import TrainConfig, make_train_config
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
