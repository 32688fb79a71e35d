"""The byte-wise mask has exactly the distribution that dropout promises."""

import math

import pytest
import torch

from mnist_shared.training.dropout import ByteDropout

NUM = 4_000_000


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_elements_are_dropped_with_probability_p_at_every_place_of_a_word(p: float) -> None:
    torch.manual_seed(0)
    dropped = (ByteDropout(p)(torch.ones(NUM)) == 0).double()
    sigma = math.sqrt(p * (1 - p) / NUM)
    assert abs(dropped.mean().item() - p) < 5 * sigma
    # The mask is cut from 64-bit draws: none of their eight bytes may be of another distribution.
    for place in range(8):
        assert abs(dropped[place::8].mean().item() - p) < 5 * sigma * math.sqrt(8)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_neighbours_are_dropped_independently(p: float) -> None:
    torch.manual_seed(0)
    dropped = ByteDropout(p)(torch.ones(NUM)) == 0
    for distance in (1, 2, 7, 8, 64, 9216):
        both = (dropped[distance:] & dropped[:-distance]).double().mean().item()
        assert abs(both - p * p) < 5 * math.sqrt(p * p * (1 - p * p) / NUM)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_what_is_kept_is_scaled_by_one_over_one_minus_p(p: float) -> None:
    values = torch.rand(10_001) + 1
    out = ByteDropout(p)(values)
    kept = out != 0
    assert torch.equal(out[kept], values[kept] * torch.tensor(1 / (1 - p)))
    assert out[~kept].eq(0).all()


def test_the_gradient_goes_the_way_of_the_values() -> None:
    x = torch.rand(64, 9216).add_(1).requires_grad_()
    out = ByteDropout(0.25)(x)
    out.sum().backward()
    assert torch.equal(x.grad, torch.where(out != 0, torch.tensor(1 / 0.75), torch.tensor(0.0)))  # type: ignore[arg-type]


def test_the_mask_follows_from_the_seed_and_changes_with_it() -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(ByteDropout(0.5)(torch.ones(1000)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_an_evaluated_network_drops_nothing() -> None:
    x = torch.rand(100)
    assert ByteDropout(0.5).eval()(x) is x


@pytest.mark.parametrize("p", [0.1, 1.0, -0.25])
def test_a_probability_that_no_byte_can_hit_exactly_is_refused(p: float) -> None:
    with pytest.raises(AssertionError):
        ByteDropout(p)
