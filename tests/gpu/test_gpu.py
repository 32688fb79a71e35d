"""What only a GPU can show (`make gpu-test`): a resumed run ends with the same bits, and the loop does not wait."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mnist_shared.contracts.config import PRESET_NAMES, TrainConfig, make_train_config
from mnist_shared.contracts.runs import TrainResult
from mnist_shared.training.checkpoints import CheckpointStore
from mnist_shared.training.data import load_dataset
from mnist_shared.training.device import choose_device, describe_device
from mnist_shared.training.trainer import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU on this machine"),
]
PRESETS = {name: make_train_config(preset=name, dataset="digits", epochs=3) for name in PRESET_NAMES}


def execute(
    folder: Path,
    *,
    attempt: int = 1,
    stop_after: int = 10**9,
    config: TrainConfig,
    no_cuda: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> TrainResult | None:
    count = itertools.count()
    return train(
        config,
        data=load_dataset("digits", folder=folder),
        device=choose_device(no_cuda=no_cuda, no_mps=True),
        num_threads=1,
        checkpoints=CheckpointStore(folder / "checkpoints", attempt=attempt, authorize=lambda: None, keep_last=2),
        model_path=folder / "mnist_cnn.pt",
        on_event=lambda event: None,
        should_stop=should_stop or (lambda: next(count) >= stop_after),
    )


def test_the_gpu_is_chosen_and_described_unless_switched_off() -> None:
    info = describe_device(choose_device(no_cuda=False, no_mps=False), 1)
    assert (info.kind, info.name) == ("cuda", torch.cuda.get_device_name())
    assert info.memory_bytes
    assert choose_device(no_cuda=True, no_mps=True).type == "cpu"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("point", [1, 11, 23, 24, 30])
def test_a_run_stopped_and_resumed_on_a_gpu_has_the_same_weights(tmp_path: Path, preset: str, point: int) -> None:
    config = PRESETS[preset].model_copy(update={"ema": 0.99})
    undisturbed = execute(tmp_path / "undisturbed", config=config)
    assert undisturbed
    assert execute(tmp_path / "stopped", stop_after=point, config=config) is None
    resumed = execute(tmp_path / "stopped", attempt=2, config=config)
    assert resumed
    assert resumed.weights_sha256 == undisturbed.weights_sha256
    assert resumed.test_loss == undisturbed.test_loss


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("deterministic", [True, False])
def test_every_preset_learns_on_a_gpu(tmp_path: Path, preset: str, deterministic: bool) -> None:
    result = execute(tmp_path, config=PRESETS[preset].model_copy(update={"deterministic": deterministic}))
    assert result
    assert result.device == "cuda"
    assert result.test_accuracy > 0.9


@pytest.mark.parametrize("preset", ["fast", "accurate"])  # dropout is drawn by each device's own generator
def test_a_gpu_and_a_cpu_come_to_the_same_within_rounding(tmp_path: Path, preset: str) -> None:
    config = PRESETS[preset].model_copy(update={"epochs": 1})
    on_gpu = execute(tmp_path / "gpu", config=config)
    on_cpu = execute(tmp_path / "cpu", config=config, no_cuda=True)
    assert on_gpu
    assert on_cpu
    assert on_gpu.test_loss == pytest.approx(on_cpu.test_loss, rel=0.05)
    assert abs(on_gpu.test_correct - on_cpu.test_correct) <= 15


def test_nothing_in_the_loop_waits_for_the_gpu_but_the_events(tmp_path: Path) -> None:
    """Without progress events and checkpoints only an epoch's end waits: torch itself watches batches 3 to 9 of 11."""
    config = PRESETS["fast"].model_copy(update={"log_interval": 1_000_000, "save_model": False, "epochs": 1})
    asked = itertools.count()

    def watch() -> bool:
        number = next(asked)
        if number in (2, 9):
            torch.cuda.set_sync_debug_mode("error" if number == 2 else "default")
        return False

    try:
        assert execute(tmp_path, config=config, should_stop=watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
