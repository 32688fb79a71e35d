"""What the network sees of a training image: itself, moved by whole pixels, or turned, scaled, slanted and moved."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.training.evaluation import normalised
from mnist_shared.training.sampling import augmentation_generator


class TrainingView:
    """The training images as the network sees them, batch by batch, on the device where they lie.

    What is drawn is derived from (seed, epoch): a resumed run sees the same.
    """

    def __init__(self, images: Tensor, *, config: TrainConfig, mean: float, std: float) -> None:
        """`images` are uint8 [N, 28, 28]; `mean` and `std` are on a scale of 0 to 1."""
        self._images, self._config = images, config
        self._mean, self._std = mean, std
        self._shift = config.shift
        self._turns = max(config.rotate, config.scale, config.shear) > 0
        if self._shift > 0 and not self._turns:
            around = functional.pad(images, (self._shift,) * 4)
            # [N, 2 shift + 1, 2 shift + 1, 28, 28]: every 28 x 28 window of each, without a copy.
            self._windows = around.unfold(1, images.shape[1], 1).unfold(2, images.shape[2], 1)
            self._places: Tensor  # int64 [2, N]: which of its windows an image is in this epoch
        elif self._turns:
            self._matrices: Tensor  # float32 [N, 2, 3]
            self._pixels = _homogeneous(images.shape[1], images.shape[2]).to(images.device)

    def begin_epoch(self, epoch: int) -> None:
        """Draw what becomes of each image in an epoch (the first is 1)."""
        generator = augmentation_generator(seed=self._config.seed, epoch=epoch)
        num_images, device = len(self._images), self._images.device
        if self._turns:
            self._matrices = self._draw_matrices(generator).to(device)
        elif self._shift > 0:
            self._places = torch.randint(2 * self._shift + 1, (2, num_images), generator=generator).to(device)

    def batch(self, chosen: Tensor) -> Tensor:
        """The images `chosen` (indices, int64 [n]) of the present epoch: normalised, float32 [n, 1, 28, 28]."""
        if self._turns:
            pixels = self._images[chosen].unsqueeze(1).to(torch.float32)
            pixels = functional.grid_sample(pixels, self._sources(chosen), align_corners=False).squeeze(1)
        elif self._shift > 0:
            down, right = self._places[:, chosen]
            pixels = self._windows[chosen, down, right]
        else:
            pixels = self._images[chosen]
        return normalised(pixels, mean=self._mean, std=self._std)

    def _sources(self, chosen: Tensor) -> Tensor:
        """Where each output pixel is taken from, float32 [n, 28, 28, 2].

        What `functional.affine_grid` gives, by one product for all images instead of one for each: a tenth of its time.
        """
        height, width = self._images.shape[1:]
        places = self._matrices[chosen].view(-1, 3) @ self._pixels
        return places.view(-1, 2, height, width).permute(0, 2, 3, 1)

    def _draw_matrices(self, generator: torch.Generator) -> Tensor:
        # From an output pixel to the place in the image that it is taken from; coordinates go from -1 to 1.
        config = self._config
        draws = torch.rand(6, len(self._images), generator=generator).mul_(2).sub_(1)
        angle, slant = draws[0] * math.radians(config.rotate), (draws[1] * math.radians(config.shear)).tan()
        width, height = 1 + draws[2:4] * config.scale
        right, down = draws[4:] * (2 * config.shift / self._images.shape[-1])
        cos, sin = angle.cos(), angle.sin()
        across = (width * cos, width * (cos * slant - sin), right)
        along = (height * sin, height * (sin * slant + cos), down)
        return torch.stack((*across, *along), dim=1).view(-1, 2, 3)


def _homogeneous(height: int, width: int) -> Tensor:
    """(x, y, 1) of each pixel's centre, row by row; coordinates go from -1 to 1. Float32 [3, height * width]."""
    x, y = ((2 * torch.arange(size) + 1) / size - 1 for size in (width, height))
    return torch.stack((x.repeat(height), y.repeat_interleave(width), torch.ones(height * width)))
