"""`run.json`: written by the first attempt, kept to by all later ones."""

from pathlib import Path

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunFile, SubmitOptions
from mnist_shared.errors import ContractError, VolumeError
from mnist_worker.run_file import settle


def proposal(num_threads: int) -> RunFile:
    return RunFile(
        id="0123456789ab",
        request=TrainRequest(config=TrainConfig(dataset="digits")),
        options=SubmitOptions(name="brisk-otter"),
        num_threads=num_threads,
        device="cpu",
        versions={},
    )


def test_a_later_attempt_keeps_to_what_the_first_one_wrote(tmp_path: Path) -> None:
    path = tmp_path / "0123456789ab" / "run.json"
    assert settle(path, proposal(2), attempt=1) == proposal(2)
    assert settle(path, proposal(8), attempt=2) == proposal(2)
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_a_file_that_a_loss_of_power_left_empty_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.touch()
    assert settle(path, proposal(2), attempt=2) == proposal(2)
    assert settle(path, proposal(8), attempt=3) == proposal(2)


def test_a_damaged_file_and_a_folder_out_of_reach_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ContractError, match=r"run\.json is not valid JSON"):
        settle(tmp_path / "run.json", proposal(2), attempt=1)
    with pytest.raises(VolumeError, match="cannot be written"):
        settle(tmp_path / "run.json" / "no-folder" / "run.json", proposal(2), attempt=1)
