"""A linear layer that a CPU multiplies with oneDNN."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# An operator for torch's own compiler, so it may go; the versions in constraints.txt have it.
_HAS_ONEDNN = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a @ b^T + bias: [n, m] of [n, k] and [m, k], float32, contiguous or the transpose of what is."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
    return product


class _OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return _product(gradient, weight.t()), _product(gradient.t(), x.t()), gradient.sum(dim=0)


class Linear(nn.Linear):
    """`nn.Linear`, whose three products oneDNN computes on a CPU that has it.

    Torch gives float32 products to MKL, which keeps to half of the vector width on processors that are not Intel's: the
    three of the reference network's first layer at batch 64 take 2.65 ms there and 1.14 with oneDNN, of a step of 20.
    Same mathematics and precision; the order of additions differs.
    """

    def forward(self, x: Tensor) -> Tensor:
        # Not while it is traced or exported, in evaluation mode: others could not read such a node.
        at_work = self.training or torch.is_inference_mode_enabled()
        if at_work and _HAS_ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32:
            output: Tensor = _OneDnnLinear.apply(x, self.weight, self.bias)
            return output
        return functional.linear(x, self.weight, self.bias)
