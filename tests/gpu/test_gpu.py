"""What only a GPU can show (`make gpu-test`): it is chosen and described, and a resumed run ends with the same bits."""

import itertools
from pathlib import Path

import pytest
import torch

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.runs import TrainResult
from mnist_shared.training.checkpoints import CheckpointStore
from mnist_shared.training.data import load_dataset
from mnist_shared.training.device import choose_device, describe_device
from mnist_shared.training.trainer import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU on this machine"),
]
CONFIG = TrainConfig(dataset="digits", epochs=3)


def execute(
    folder: Path, *, attempt: int = 1, stop_after: int = 10**9, config: TrainConfig = CONFIG
) -> TrainResult | None:
    count = itertools.count()
    return train(
        config,
        data=load_dataset("digits", folder=folder),
        device=choose_device(no_cuda=False, no_mps=True),
        num_threads=1,
        checkpoints=CheckpointStore(folder / "checkpoints", attempt=attempt, authorize=lambda: None, keep_last=2),
        model_path=folder / "mnist_cnn.pt",
        on_event=lambda event: None,
        should_stop=lambda: next(count) >= stop_after,
    )


def test_the_gpu_is_chosen_and_described_unless_switched_off() -> None:
    info = describe_device(choose_device(no_cuda=False, no_mps=False), 1)
    assert (info.kind, info.name) == ("cuda", torch.cuda.get_device_name())
    assert info.memory_bytes
    assert choose_device(no_cuda=True, no_mps=True).type == "cpu"


@pytest.mark.parametrize("point", [1, 11, 23, 24, 40])
def test_a_run_stopped_and_resumed_on_a_gpu_has_the_same_weights(tmp_path: Path, point: int) -> None:
    undisturbed = execute(tmp_path / "undisturbed")
    assert undisturbed
    assert execute(tmp_path / "stopped", stop_after=point) is None
    resumed = execute(tmp_path / "stopped", attempt=2)
    assert resumed
    assert resumed.weights_sha256 == undisturbed.weights_sha256
    assert resumed.test_loss == undisturbed.test_loss


def test_it_learns_without_deterministic_algorithms_too(tmp_path: Path) -> None:
    result = execute(tmp_path, config=CONFIG.model_copy(update={"deterministic": False}))
    assert result
    assert result.test_accuracy > 0.9
