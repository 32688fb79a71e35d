"""A warm worker's first run is as any other: warming up leaves nothing behind that a run could notice."""

from typing import Any

import torch

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.training.warming import warm_up


def test_a_run_after_the_warm_up_has_the_same_weights(run: Any, config: TrainConfig, undisturbed: Any) -> None:
    warm_up(torch.device("cpu"), num_threads=2)
    assert torch.get_num_threads() == 2
    assert run.execute(config).result.weights_sha256 == undisturbed[1].result.weights_sha256
