"""Everything about a run that changes while it trains, and its way into a checkpoint and back, bit for bit."""

import copy
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.optim import Adam

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.training.data import Dataset
from mnist_shared.training.evaluation import loss_accumulator
from mnist_shared.training.model import load_weights, new_network, tested_weights
from mnist_shared.training.normalisation import formula

STATE_SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 1 holds a scheduler's state too, which is derived now
_HISTORY: TypeAdapter[list[EpochMetrics]] = TypeAdapter(list[EpochMetrics])
# Where Adam's fused kernel exists and was seen to work.
_FUSED_ON = ("cpu", "cuda")


@dataclass(kw_only=True)
class TrainingState:
    """A run between two batches. No generator is part of it: `sampling` derives every choice from seed and place."""

    model: nn.Module
    optimizer: Adam
    averaged: nn.Module | None  # the moving average of `model`, with --ema
    num_threads: int  # of CPU operations; another number gives other sums, hence other weights
    loss_sum: Tensor  # of the present epoch: each image's loss, added up on the device
    history: list[EpochMetrics] = field(default_factory=list)  # an entry a finished epoch, the parent run's first
    num_inherited: int = 0  # how many of them are the parent's
    batch: int = 0  # finished batches of the present epoch
    num_seen: int = 0  # images of the present epoch
    seconds: float = 0.0  # of training in the present epoch, wall clock
    _pairs: list[tuple[Tensor, Tensor]] | None = field(default=None, init=False)  # averaged, and what it follows

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def tested(self) -> nn.Module:
        """The network that is evaluated and saved as the model."""
        return self.averaged or self.model

    @property
    def lr(self) -> float:
        """The learning rate of the last step, or of the next one after it was set."""
        return float(self.optimizer.param_groups[0]["lr"])

    @lr.setter
    def lr(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

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

    @torch.no_grad()
    def average(self, decay: float, *, step: int) -> None:
        """Let the averaged weights follow those after optimiser step `step`; running statistics go along.

        The first steps count for more, as in TensorFlow's ExponentialMovingAverage with num_updates: the average of
        few steps would otherwise consist of the random weights of the beginning.
        """
        if self.averaged is None:
            return
        if self._pairs is None:  # once: to gather them takes longer than to average them
            self._pairs = list(zip(self.averaged.state_dict().values(), self.model.state_dict().values(), strict=True))
        weight = 1 - min(decay, (1 + step) / (10 + step))
        real = [pair for pair in self._pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([own for own, _ in real], [other for _, other in real], weight)
        for own, other in self._pairs:
            if not own.is_floating_point():  # a count of batches
                own.copy_(other)

    def end_epoch(self, metrics: EpochMetrics) -> None:
        """Close the present epoch, and stand before the first batch of the next."""
        self.history.append(metrics)
        self.loss_sum.zero_()
        self.batch = self.num_seen = 0
        self.seconds = 0.0


def fresh_state(config: TrainConfig, *, device: torch.device, num_threads: int) -> TrainingState:
    """A run before its first batch. The weights are drawn on the CPU: the same on every device."""
    torch.manual_seed(config.seed)
    model = new_network(config).to(device)
    return TrainingState(
        model=model,
        optimizer=Adam(
            model.parameters(),
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            decoupled_weight_decay=True,
            fused=device.type in _FUSED_ON,
        ),
        averaged=copy.deepcopy(model).requires_grad_(False) if config.ema > 0 else None,
        num_threads=num_threads,
        loss_sum=loss_accumulator(device),
    )


def capture(state: TrainingState, *, config: TrainConfig, data: Dataset) -> dict[str, Any]:
    """The state as tensors and plain values, for `checkpoints.serialized`. The tensors are not copies."""
    return {
        "schema_version": STATE_SCHEMA_VERSION,
        "config": config.model_dump_json(),
        "dataset": data.name,
        "dataset_sha256": data.sha256,
        "normalisation": formula(data.mean, data.std),  # older checkpoints have none
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
        "num_threads": state.num_threads,
        "epoch": state.epoch,
        "batch": state.batch,
        "history": _HISTORY.dump_json(state.history).decode(),
        "num_inherited": state.num_inherited,
        "partial": {"loss_sum": state.loss_sum, "num_seen": state.num_seen, "seconds": state.seconds},
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "averaged": state.averaged.state_dict() if state.averaged is not None else None,
    }


def restore(saved: Mapping[str, Any], *, config: TrainConfig, device: torch.device, inherit: bool) -> TrainingState:
    """The state that `capture` took, on `device`; `inherit` makes its finished epochs the parent's.

    The learning rate is not part of it: `schedule` derives it from `config`, whose own apply from here on.

    Raises:
        CheckpointError: the weights are those of another network.
        KeyError, TypeError, ValueError: something is missing or of the wrong kind; `resume` reports it.
    """
    state = fresh_state(config, device=device, num_threads=int(saved["num_threads"]))
    load_weights(state.model, saved["model"])
    _load_optimizer(state.optimizer, saved["optimizer"])
    if state.averaged is not None:
        # None: the run was not averaged so far. The average then begins at its present weights.
        load_weights(state.averaged, tested_weights(saved))
    state.history = _HISTORY.validate_json(saved["history"])
    state.lr = float(saved["optimizer"]["param_groups"][0]["lr"])
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
