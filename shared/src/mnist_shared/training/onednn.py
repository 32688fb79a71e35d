"""What a CPU computes by oneDNN itself: linear layers, and all between two images' arrays in oneDNN's own layout.

https://uxlfoundation.github.io/oneDNN/dev_guide_understanding_memory_formats.html: blocks of as many channels as a
vector register holds. Torch converts its arrays for convolutions alone, and pools and normalises them in its own.
"""

import platform
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# On the processors on which it was measured. The product is an operator for torch's own compiler, so it may go; the
# versions in constraints.txt have it.
_HAS_ONEDNN = (
    platform.machine().lower() in ("x86_64", "amd64")
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def _computes(module: nn.Module, x: Tensor) -> bool:
    """Whether oneDNN is to compute what `module` makes of `x`, or torch as it sees fit."""
    # Not while it is traced or exported, in evaluation mode: others could not read such a node.
    at_work = module.training or torch.is_inference_mode_enabled()
    return at_work and _HAS_ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32


def blocked(module: nn.Module, x: Tensor) -> Tensor:
    """`x` in oneDNN's layout, if it is to compute `module`: what follows then stays there up to `dense`.

    A step of the reference network takes 16.8 instead of 18.1 ms, one of `--preset fast` 6.1 instead of 7.0, and the
    compact network's evaluation 0.12 instead of 0.20 s. Same mathematics and precision but for one thing: its ReLU and
    its max-pool take NaN for the lowest number, so a loss may be finite where weights are not.
    """
    return x.to_mkldnn() if _computes(module, x) else x


def dense(x: Tensor) -> Tensor:
    """`x` in torch's layout, whichever it comes in."""
    return x.to_dense() if x.is_mkldnn else x


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
        if _computes(self, x):
            output: Tensor = _OneDnnLinear.apply(x, self.weight, self.bias)
            return output
        return functional.linear(x, self.weight, self.bias)
