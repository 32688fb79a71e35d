"""What a run's end suggests to type next."""

from datetime import UTC, datetime

import pytest

from mnist_client.rendering.next_steps import as_typed, next_commands, remedy
from mnist_shared.contracts.config import PRESETS, TrainConfig, make_train_config
from mnist_shared.contracts.requests import EvaluateRequest, Request, TrainRequest
from mnist_shared.contracts.runs import CheckpointRef, RunError, RunRecord, RunState

RUN_ID = "0123456789ab"


def ended(kind: str = "", *, epoch: int | None = None, request: Request | None = None, **config: object) -> RunRecord:
    """A run that failed with an error of that kind, with a checkpoint after so many epochs."""
    ref = {"file": "a.pt", "epoch": epoch, "batch": 0, "attempt": 1, "num_bytes": 1, "sha256": "a" * 64}
    return RunRecord(
        id=RUN_ID,
        request=request or TrainRequest(config=make_train_config(**config)),
        state=RunState.FAILED if kind else RunState.CANCELLED,
        submitted_at=datetime.now(UTC),
        attempt=1,
        attempts_without_checkpoint=0,
        checkpoint=CheckpointRef.model_validate(ref) if epoch is not None else None,
        error=RunError(kind=kind, message="It failed.", attempt=1) if kind else None,
    )


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (ended("VolumeError"), f"retry {RUN_ID}"),
        (ended("VolumeError", epoch=3), f"resume {RUN_ID}"),
        (ended("VolumeError", epoch=15), f"retry {RUN_ID}"),  # there is nothing left to train
        (ended(epoch=3), f"resume {RUN_ID}"),
        (ended("TrainingDiverged", lr=9.0, dataset="digits"), "submit train --dataset digits --lr 0.9"),
        (ended("CheckpointError", epochs=3, epoch=1), "submit train --epochs 3"),
        (ended("NotEnoughEpochs"), f"status {RUN_ID}"),
        (
            ended("DatasetError", request=EvaluateRequest(target="ba9876543210", config=TrainConfig()), epoch=1),
            f"retry {RUN_ID}",
        ),
    ],
)
def test_what_helps_depends_on_why_it_failed(record: RunRecord, words: str) -> None:
    assert remedy(record) == words
    assert next_commands(record) == [words]


def test_a_configuration_is_written_as_it_is_typed() -> None:
    assert as_typed(TrainConfig()) == []
    typed = as_typed(make_train_config(preset="fast", epochs=7, no_cuda=True, save_model=False, widths="1,2,3,4"))
    assert typed == ["--preset fast", "--widths 1,2,3,4", "--epochs 7", "--no-cuda", "--no-save-model"]
    words = dict(part.removeprefix("--").split() for part in as_typed(PRESETS["accurate"]))
    assert words == {"preset": "accurate"}
