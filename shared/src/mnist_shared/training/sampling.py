"""Every random choice of a run, each derived from its seed and its place, so that none has to be saved."""

import hashlib

import torch
from torch import Tensor


def derived_seed(seed: int, *, purpose: str, number: int) -> int:
    """A 63-bit seed for one choice. Different purposes and numbers give unrelated ones."""
    digest = hashlib.sha256(f"{purpose}/{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def epoch_order(num_images: int, *, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch (the first is 1) sees the images: a permutation, int64 [num_images], on the CPU."""
    generator = torch.Generator().manual_seed(derived_seed(seed, purpose="order", number=epoch))
    return torch.randperm(num_images, generator=generator)


def augmentation_generator(*, seed: int, epoch: int) -> torch.Generator:
    """The generator, on the CPU, from which it is drawn how an epoch (the first is 1) changes its images."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose="augmentation", number=epoch))


def held_out(num_images: int, *, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """(indices trained on, indices held out for validation), int64, disjoint, each in ascending order."""
    generator = torch.Generator().manual_seed(derived_seed(seed, purpose="held-out", number=0))
    order = torch.randperm(num_images, generator=generator)
    return order[size:].sort().values, order[:size].sort().values


def seed_step(device: torch.device, *, seed: int, step: int) -> None:
    """Seed the generator that dropout on `device` draws from, for one optimiser step of the run (the first is 0).

    `torch.manual_seed` does it too, in 70 us: it keeps a stack trace for a CUDA that may come later. This takes 2.
    """
    value = derived_seed(seed, purpose="step", number=step)
    if device.type == "cuda":
        torch.cuda.manual_seed(value)
    elif device.type == "mps":
        torch.mps.manual_seed(value)
    else:
        torch.default_generator.manual_seed(value)
