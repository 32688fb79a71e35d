"""Random choices that follow from the seed and the place."""

import torch

from mnist_shared.training.sampling import derived_seed, epoch_order, held_out, seed_step


def test_each_epoch_sees_every_image_once_in_an_order_of_its_own() -> None:
    first, second = (epoch_order(1000, seed=1, epoch=epoch) for epoch in (1, 2))
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert not torch.equal(first, second)
    assert not torch.equal(first, epoch_order(1000, seed=2, epoch=1))
    torch.rand(5)
    assert torch.equal(first, epoch_order(1000, seed=1, epoch=1))


def test_the_held_out_images_are_not_trained_on() -> None:
    kept, held = held_out(1000, size=100, seed=1)
    assert (len(kept), len(held)) == (900, 100)
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(1000))
    assert not torch.equal(held, held_out(1000, size=100, seed=2)[1])
    assert held.max() > 900, "they come from all over the set"
    assert held.min() < 100


def test_derived_seeds_differ_by_purpose_and_number() -> None:
    seeds = {derived_seed(s, purpose=p, number=n) for s in range(20) for p in ("order", "step") for n in range(50)}
    assert len(seeds) == 20 * 2 * 50
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_step_draws_the_same_whatever_came_before() -> None:
    cpu = torch.device("cpu")
    seed_step(cpu, seed=1, step=7)
    first = torch.rand(5)
    torch.rand(3)
    seed_step(cpu, seed=1, step=7)
    assert torch.equal(torch.rand(5), first)
    seed_step(cpu, seed=1, step=8)
    assert not torch.equal(torch.rand(5), first)
