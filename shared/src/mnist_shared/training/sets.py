"""A run's images where it trains: those it learns from, those held out, those it is tested on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.errors import InvalidInput
from mnist_shared.training.data import Dataset
from mnist_shared.training.sampling import held_out


@dataclass(frozen=True, kw_only=True)
class TrainingSets:
    """Pairs of images (uint8 [N, 28, 28]) and labels (int64 [N]) on the device of the run."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]  # empty without --validation-size
    test: tuple[Tensor, Tensor]
    mean: float  # on a scale of 0 to 1
    std: float

    def num_batches(self, config: TrainConfig) -> int:
        """Optimiser steps an epoch."""
        num_images = len(self.train[0])
        return num_images // config.batch_size if config.drop_last else -(-num_images // config.batch_size)


def training_sets(data: Dataset, *, config: TrainConfig, device: torch.device) -> TrainingSets:
    """`data` as `config` divides it. A dry run gets one batch of each.

    Raises:
        InvalidInput: the validation set would leave nothing to train on, or less than a batch with --drop-last.
    """
    num_images = len(data.train_images)
    if config.validation_size >= num_images:
        raise InvalidInput(
            f"--validation-size: {config.validation_size} of {num_images} training images leave none to train on.",
            hint=f"Hold out fewer than {num_images}.",
        )
    train = test = slice(None)
    if config.dry_run:
        train, test = slice(config.batch_size), slice(config.test_batch_size)
    images, labels = data.train_images, data.train_labels
    held_images, held_labels = images[:0], labels[:0]
    if config.validation_size > 0:
        kept, held = held_out(num_images, size=config.validation_size, seed=config.seed)
        held_images, held_labels = images[held[test]], labels[held[test]]
        images, labels = images[kept], labels[kept]
    if config.drop_last and len(images) < config.batch_size:
        raise InvalidInput(
            f"--drop-last: {len(images)} training images are less than a batch of {config.batch_size}.",
            hint="Give a smaller --batch-size, or --no-drop-last.",
        )
    return TrainingSets(
        train=(images[train].to(device), labels[train].to(device)),
        validation=(held_images.to(device), held_labels.to(device)),
        test=(data.test_images[test].to(device), data.test_labels[test].to(device)),
        mean=data.mean,
        std=data.std,
    )
