"""Fingerprints: equal exactly where the results are."""

import pytest

from mnist_shared.contracts.config import TrainConfig, make_train_config
from mnist_shared.contracts.fingerprints import fingerprint
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest, TrainRequest

BASE = fingerprint(TrainRequest(config=TrainConfig()))


@pytest.mark.parametrize(
    "change", [{"log_interval": 1}, {"keep_last": 9}, {"checkpoint_every_seconds": 0.0}, {"resume": False}], ids=str
)
def test_what_only_the_looker_on_notices_changes_nothing(change: dict[str, object]) -> None:
    assert fingerprint(TrainRequest(config=make_train_config(**change))) == BASE


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 14}, {"seed": 2}, {"dataset": "digits"}, {"lr": 0.01}, {"no_cuda": True}, {"validation_size": 100},
        {"save_model": False}, {"deterministic": False}, {"preset": "fast"},
    ],
    ids=str,
)  # fmt: skip
def test_what_decides_the_result_changes_it(change: dict[str, object]) -> None:
    assert fingerprint(TrainRequest(config=make_train_config(**change))) != BASE


def test_a_preset_and_its_values_written_out_are_the_same() -> None:
    preset = make_train_config(preset="fast")
    assert fingerprint(TrainRequest(config=preset)) == fingerprint(
        TrainRequest(config=preset.model_copy(update={"preset": "reference"}))
    )


def test_a_resume_an_evaluation_and_their_runs_count() -> None:
    config = TrainConfig()
    requests = [
        TrainRequest(config=config),
        *(ResumeRequest(parent=run, config=config) for run in ("a" * 12, "b" * 12)),
        *(EvaluateRequest(target=run, config=config) for run in ("a" * 12, "b" * 12)),
    ]
    assert len({fingerprint(request) for request in requests}) == len(requests)


def test_a_dry_run_has_none() -> None:
    assert fingerprint(TrainRequest(config=TrainConfig(dry_run=True))) is None
