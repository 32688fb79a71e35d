"""What the first optimiser step of a process costs beyond a step: a second or more, which no run has to wait for."""

import torch

from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.training.device import choose_algorithms
from mnist_shared.training.loss import training_loss
from mnist_shared.training.state import fresh_state


def warm_up(device: torch.device, *, num_threads: int) -> None:
    """Make a step with each network, on black images: torch loads its optimisers, the libraries build their kernels.

    Changes torch's default generator; every run seeds it anew.
    """
    choose_algorithms(device, deterministic=True)  # before cuBLAS makes its first handle
    torch.set_num_threads(num_threads)
    for config in {config.network: config for config in PRESETS.values()}.values():
        _step(config, device)


def _step(config: TrainConfig, device: torch.device) -> None:
    state = fresh_state(config, device=device, num_threads=1)
    images = torch.zeros(config.batch_size, 1, 28, 28, device=device)
    labels = torch.zeros(config.batch_size, dtype=torch.int64, device=device)
    loss = training_loss(state.model(images), labels, smoothing=config.label_smoothing)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
