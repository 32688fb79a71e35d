"""The normalisation that a network was trained with: how a checkpoint or file states it, and what is believed."""

import dataclasses
from typing import Any

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.training.data import Dataset
from mnist_shared.training.normalisation import formula, trained_with
from mnist_shared.training.tested import load_tested

OWN = "own/pets-0123456789ab"


@pytest.mark.parametrize(("mean", "std"), [(0.1307, 0.3081), (1 / 3, 2 / 7), (0.0, 1e-5), (1.0, 0.5)])
def test_a_stated_normalisation_is_read_to_the_last_digit(mean: float, std: float) -> None:
    assert trained_with(formula(mean, std), dataset=OWN) == Normalisation(mean=mean, std=std, dataset=OWN)


def test_older_exports_state_it_in_six_digits() -> None:
    found = trained_with("(pixel / 255 - 0.130661) / 0.308108", dataset=OWN)
    assert found == Normalisation(mean=0.130661, std=0.308108, dataset=OWN)


def test_what_states_none_has_that_of_the_known_data_set_it_names() -> None:
    assert trained_with(None, dataset="mnist") == Normalisation(mean=0.1307, std=0.3081, dataset="mnist")
    for dataset in (None, OWN, "mnits"):
        assert trained_with(None, dataset=dataset) is None


@pytest.mark.parametrize(
    "stated",
    [
        "(pixel / 255 - nan) / 1",
        "(pixel / 255 - 0.1) / 0.0",
        "(pixel / 255 - 2) / 1",
        "(pixel / 255 - 0.1) / 9e9",
        "(pixel / 255 - 0.1) / 0.3; rm",
        f"(pixel / 255 - {'1' * 9999}) / 1",
        b"(pixel / 255 - 0.1) / 0.3",
        [0.1, 0.3],
        7,
    ],
)
def test_a_statement_that_can_be_none_of_pixels_is_not_believed(stated: object) -> None:
    assert trained_with(stated, dataset="../../etc") is None
    found = trained_with(stated, dataset="digits")
    assert found is not None
    assert (found.mean, found.std) == (0.3056, 0.3249)


def test_a_file_that_names_no_data_set_that_could_be_one_may_state_its_normalisation() -> None:
    assert trained_with("(pixel / 255 - 0.5) / 0.5", dataset="<b>x") == Normalisation(mean=0.5, std=0.5)


def test_a_checkpoint_carries_that_of_its_training_images(run: Any, config: TrainConfig, small: Dataset) -> None:
    bright = dataclasses.replace(small, mean=1 / 3, std=2 / 7)
    run.execute(config, data=bright)
    found = load_tested(run.checkpoints, target="0123456789ab", on_event=lambda event: None)
    assert found.normalisation == bright.normalisation
