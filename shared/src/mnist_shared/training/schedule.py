"""The learning rate of every step, from its place in the run alone: nothing about it has to be saved."""

from mnist_shared.contracts.config import TrainConfig

# With which share of the peak a one-cycle schedule begins (torch's OneCycleLR: a 25th). It ends at 0.
ONE_CYCLE_START = 0.04


def learning_rate(config: TrainConfig, *, step: int, num_batches: int) -> float:
    """The learning rate of the run's optimiser step `step` (the first is 0) in epochs of `num_batches`.

    `step`: lr, times gamma after each epoch. `one-cycle`: up to lr in a straight line over the first `warm_up` of all
    steps, then down to 0 in another. All steps are those of `config.epochs`: a run resumed with a larger total goes on
    at the place in the longer schedule to which its finished epochs have brought it.
    """
    if config.schedule == "step":
        rate = config.lr
        for _ in range(step // num_batches):  # factor by factor: a power rounds differently
            rate *= config.gamma
        return rate
    done = step / (config.epochs * num_batches)
    if done < config.warm_up:
        return config.lr * (ONE_CYCLE_START + (1 - ONE_CYCLE_START) * done / config.warm_up)
    return config.lr * (1 - done) / (1 - config.warm_up) if config.warm_up < 1 else config.lr
