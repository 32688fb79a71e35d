"""The linear layer by oneDNN: the same mathematics as torch's, and nothing of it in what is exported."""

import pytest
import torch
from torch import Tensor, nn

from mnist_shared.training import linear
from mnist_shared.training.linear import Linear

with_onednn = pytest.mark.skipif(not linear._HAS_ONEDNN, reason="this torch has no oneDNN")


def passes(layer: nn.Linear) -> list[Tensor]:
    """The output for fixed images and the gradients of a fixed loss: to the input, the weight, the bias."""
    generator = torch.Generator().manual_seed(1)
    dtype = layer.weight.dtype
    x = torch.randn(64, 300, generator=generator).to(dtype).requires_grad_()
    towards = torch.randn(64, 20, generator=generator).to(dtype)
    layer.zero_grad()
    output = layer(x)
    output.backward(towards)
    gradients = [tensor.grad.clone() for tensor in (x, layer.weight, layer.bias) if tensor.grad is not None]
    assert len(gradients) == 3
    return [output.detach(), *gradients]


def layers() -> tuple[Linear, nn.Linear]:
    torch.manual_seed(1)
    ours, torchs = Linear(300, 20), nn.Linear(300, 20)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


@with_onednn
def test_it_is_as_exact_as_float32_can_be() -> None:
    ours, torchs = layers()
    for found, exact in zip(passes(ours), passes(torchs.double()), strict=True):
        torch.testing.assert_close(found, exact.float(), rtol=1e-5, atol=1e-5)


@with_onednn
def test_onednn_is_what_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    product = linear._product

    def counted(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
        calls.append((*a.shape, b.shape[0]))
        return product(a, b, bias)

    monkeypatch.setattr(linear, "_product", counted)
    passes(layers()[0])
    assert calls == [(64, 300, 20), (64, 20, 300), (20, 64, 300)]


def test_the_same_input_gives_the_same_bits() -> None:
    ours, _ = layers()
    for first, second in zip(passes(ours), passes(ours), strict=True):
        assert torch.equal(first, second)


def test_without_onednn_it_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_HAS_ONEDNN", False)
    ours, torchs = layers()
    for found, expected in zip(passes(ours), passes(torchs), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.filterwarnings("ignore:.torch.jit.trace.:FutureWarning")
def test_what_is_traced_is_a_plain_linear_layer() -> None:
    traced = torch.jit.trace(layers()[0].eval(), torch.zeros(2, 300))
    assert "aten::linear" in str(traced.inlined_graph)


def test_other_types_than_float32_are_left_to_torch() -> None:
    layer = layers()[0].double()
    assert layer(torch.zeros(2, 300, dtype=torch.float64)).dtype == torch.float64
