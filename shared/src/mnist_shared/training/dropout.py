"""Dropout whose mask is cut from random bytes: on a CPU a quarter of the time that torch's own takes."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INT64_MIN = -(2**63)


class ByteDropout(nn.Module):
    """Sets each element to 0 with probability `p` and scales the others by 1 / (1 - p), in training only.

    `p` is a multiple of 1/256, so that one random byte decides about one element, exactly. Torch's own CPU dropout
    draws a double for each: 5-6 ms for the 64 x 9,216 activations of the reference network, forward and backward; this
    takes 1.2. Draws from torch's default generator. On a GPU torch's own dropout is used.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        assert p in {n / 256 for n in range(256)}, f"{p} is not a multiple of 1/256 in [0, 1)"
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p)
        mask = _random_bytes(x.numel()).ge_(int(self.p * 256)).view(x.shape)
        return x * mask.to(x.dtype).mul_(1 / (1 - self.p))


def _random_bytes(count: int) -> Tensor:
    """`count` uniform bytes, uint8."""
    # All 64 bits: without bounds, `random_()` stays positive and the top bit of each eighth byte is always 0.
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(INT64_MIN, None)
    return words.view(torch.uint8)[:count]
