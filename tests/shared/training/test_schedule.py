"""The learning rate is a matter of the step alone."""

import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from mnist_shared.contracts.config import TrainConfig, make_train_config
from mnist_shared.training.schedule import learning_rate


def rates(config: TrainConfig, *, num_batches: int = 10) -> list[float]:
    return [learning_rate(config, step=step, num_batches=num_batches) for step in range(config.epochs * num_batches)]


def test_the_step_schedule_is_torchs_to_the_last_bit() -> None:
    config = TrainConfig(epochs=15)
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=config.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=config.gamma)
    for epoch in range(15):
        assert learning_rate(config, step=epoch * 10 + 9, num_batches=10) == scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()


def test_one_cycle_rises_to_the_learning_rate_and_falls_to_nothing() -> None:
    found = rates(make_train_config(schedule="one-cycle", lr=0.01, warm_up=0.3, epochs=2))
    assert found[0] == pytest.approx(0.0004)
    assert found[3] == pytest.approx(0.0052)
    assert max(found) == found[6] == pytest.approx(0.01)
    assert found[13] == pytest.approx(0.005)
    assert found[-1] == pytest.approx(0.01 / 14)
    assert found[:7] == sorted(found[:7])
    assert found[6:] == sorted(found[6:], reverse=True)


@pytest.mark.parametrize("warm_up", [0.0, 1.0])
def test_one_cycle_may_only_fall_or_only_rise(warm_up: float) -> None:
    found = rates(make_train_config(schedule="one-cycle", warm_up=warm_up, epochs=1))
    assert found == sorted(found, reverse=warm_up == 0)
    assert all(0 < rate <= 0.001 for rate in found)


def test_with_a_larger_total_a_run_goes_on_at_its_place_in_the_longer_cycle() -> None:
    short = make_train_config(schedule="one-cycle", epochs=2)
    long = short.model_copy(update={"epochs": 4})
    assert rates(short)[-1] < rates(long)[20], "the learning rate rises again: there is something left to learn"
    assert rates(long)[20] == pytest.approx(0.001 * (1 - 0.5) / 0.7)
