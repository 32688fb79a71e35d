"""Everything about a run that changes while it trains, and its way into a checkpoint and back, bit for bit."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import StepLR

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.training.data import Dataset
from mnist_shared.training.evaluation import loss_accumulator
from mnist_shared.training.model import ReferenceNet, load_weights

STATE_SCHEMA_VERSION = 1
_HISTORY: TypeAdapter[list[EpochMetrics]] = TypeAdapter(list[EpochMetrics])
# Where Adam's fused kernel exists and was seen to work.
_FUSED_ON = ("cpu", "cuda")


@dataclass(kw_only=True)
class TrainingState:
    """A run between two batches. No generator is part of it: `sampling` derives every choice from seed and place."""

    model: nn.Module
    optimizer: Adam
    scheduler: StepLR
    num_threads: int  # of CPU operations; another number gives other sums, hence other weights
    loss_sum: Tensor  # of the present epoch: each image's loss, added up on the device
    history: list[EpochMetrics] = field(default_factory=list)  # an entry a finished epoch, the parent run's first
    num_inherited: int = 0  # how many of them are the parent's
    batch: int = 0  # finished batches of the present epoch
    num_seen: int = 0  # images of the present epoch
    seconds: float = 0.0  # of training in the present epoch, wall clock

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def lr(self) -> float:
        """The learning rate of the present epoch."""
        return float(self.scheduler.get_last_lr()[0])

    @property
    def own_history(self) -> list[EpochMetrics]:
        """The epochs of this run, without its parent's."""
        return self.history[self.num_inherited :]

    def count(self, loss: Tensor, *, num_images: int, seconds: float) -> None:
        """Take note of one more batch and its mean loss, without waiting for the device."""
        self.loss_sum.add_(loss.detach(), alpha=num_images)
        self.batch += 1
        self.num_seen += num_images
        self.seconds += seconds

    def end_epoch(self, metrics: EpochMetrics) -> None:
        """Close the present epoch, and stand before the first batch of the next."""
        self.history.append(metrics)
        self.scheduler.step()
        self.loss_sum.zero_()
        self.batch = self.num_seen = 0
        self.seconds = 0.0


def fresh_state(config: TrainConfig, *, device: torch.device, num_threads: int) -> TrainingState:
    """A run before its first batch. The weights are drawn on the CPU: the same on every device."""
    torch.manual_seed(config.seed)
    model = ReferenceNet().to(device)
    optimizer = Adam(model.parameters(), lr=config.lr, fused=device.type in _FUSED_ON)
    return TrainingState(
        model=model,
        optimizer=optimizer,
        scheduler=StepLR(optimizer, step_size=1, gamma=config.gamma),
        num_threads=num_threads,
        loss_sum=loss_accumulator(device),
    )


def capture(state: TrainingState, *, config: TrainConfig, data: Dataset) -> dict[str, Any]:
    """The state as tensors and plain values, for `CheckpointStore.save`. The tensors are not copies."""
    return {
        "schema_version": STATE_SCHEMA_VERSION,
        "config": config.model_dump_json(),
        "dataset": data.name,
        "dataset_sha256": data.sha256,
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
        "num_threads": state.num_threads,
        "epoch": state.epoch,
        "batch": state.batch,
        "history": _HISTORY.dump_json(state.history).decode(),
        "num_inherited": state.num_inherited,
        "partial": {"loss_sum": state.loss_sum, "num_seen": state.num_seen, "seconds": state.seconds},
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict(),
    }


def restore(saved: Mapping[str, Any], *, config: TrainConfig, device: torch.device, inherit: bool) -> TrainingState:
    """The state that `capture` took, on `device`; `inherit` makes its finished epochs the parent's.

    Where `config` asks for another learning rate or gamma than the checkpoint's, its own apply from here on.

    Raises:
        CheckpointError: the weights are those of another network.
        KeyError, TypeError, ValueError: something is missing or of the wrong kind; `resume` reports it.
    """
    state = fresh_state(config, device=device, num_threads=int(saved["num_threads"]))
    load_weights(state.model, saved["model"])
    _load_optimizer(state.optimizer, saved["optimizer"])
    state.scheduler.load_state_dict(saved["scheduler"])
    state.history = _HISTORY.validate_json(saved["history"])
    then = TrainConfig.model_validate_json(saved["config"])
    if (then.lr, then.gamma) != (config.lr, config.gamma):
        state.scheduler.base_lrs = [config.lr]
        state.scheduler.gamma = config.gamma
        state.scheduler._last_lr = [config.lr * config.gamma**state.epoch]
    for group in state.optimizer.param_groups:
        group["lr"] = state.lr
    state.num_inherited = state.epoch if inherit else int(saved["num_inherited"])
    if config.dry_run:  # its single batch begins an epoch
        return state
    state.batch = int(saved["batch"])
    state.loss_sum.copy_(saved["partial"]["loss_sum"])
    state.num_seen = int(saved["partial"]["num_seen"])
    state.seconds = float(saved["partial"]["seconds"])
    return state


def _load_optimizer(optimizer: Adam, saved: Mapping[str, Any]) -> None:
    # The parameter groups stay this device's own: `fused` and the like depend on it.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if value.shape == parameter.shape:
                # Fused Adam on a CPU walks through memory without a look at the strides: moments that do not lie as
                # their weight does update the wrong elements, in silence. A file may bring them in any layout.
                values[name] = torch.empty_like(parameter).copy_(value)
    # The steps were made in another process; without this, StepLR warns that there were none.
    optimizer._opt_called = True  # type: ignore[attr-defined]
