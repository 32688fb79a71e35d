"""What oneDNN computes: the same mathematics as torch's, and nothing of it in what is exported."""

import pytest
import torch
from torch import Tensor, nn

from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.training import onednn
from mnist_shared.training.dropout import ByteDropout
from mnist_shared.training.model import new_network
from mnist_shared.training.onednn import Linear

with_onednn = pytest.mark.skipif(not onednn._HAS_ONEDNN, reason="this torch has no oneDNN")


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
    product = onednn._product

    def counted(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
        calls.append((*a.shape, b.shape[0]))
        return product(a, b, bias)

    monkeypatch.setattr(onednn, "_product", counted)
    passes(layers()[0])
    assert calls == [(64, 300, 20), (64, 20, 300), (20, 64, 300)]


def test_the_same_input_gives_the_same_bits() -> None:
    ours, _ = layers()
    for first, second in zip(passes(ours), passes(ours), strict=True):
        assert torch.equal(first, second)


def test_without_onednn_it_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "_HAS_ONEDNN", False)
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


def network(config: TrainConfig) -> nn.Module:
    """With the same weights each time, in training, nothing dropped."""
    torch.manual_seed(1)
    model = new_network(config).train()
    for part in model.modules():
        if isinstance(part, ByteDropout):
            part.p = 0.0
    return model


def trained(model: nn.Module) -> dict[str, Tensor]:
    """All that a pass forward and backward over 48 images leaves: answers, gradients, running statistics."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(48, 1, 28, 28, generator=generator).to(next(model.parameters()).dtype)
    answers = model(images)
    nn.functional.nll_loss(answers, torch.arange(48) % 10).backward()  # type: ignore[no-untyped-call]
    gradients = {f"gradient of {name}": one.grad for name, one in model.named_parameters() if one.grad is not None}
    assert len(gradients) == len(list(model.parameters()))
    return {"answers": answers.detach(), **gradients, **dict(model.named_buffers())}


networks = pytest.mark.parametrize("config", [PRESETS["reference"], PRESETS["fast"]], ids=lambda config: config.network)


@with_onednn
@networks
def test_a_network_in_its_layout_is_as_exact_as_float32_can_be(config: TrainConfig) -> None:
    found, exact = trained(network(config)), trained(network(config).double())
    assert set(found) == set(exact)
    for name, tensor in found.items():
        torch.testing.assert_close(
            tensor, exact[name].to(tensor.dtype), rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


@with_onednn
@networks
def test_its_layout_is_used_in_training_and_in_evaluation(config: TrainConfig) -> None:
    layouts: list[bool] = []
    model = network(config)
    model.get_submodule("conv2").register_forward_hook(lambda _, __, output: layouts.append(output.is_mkldnn))
    images = torch.zeros(2, 1, 28, 28)
    model(images)
    with torch.inference_mode():
        model.eval()(images)
    assert layouts == [True, True]
    model(images)  # as it is exported
    assert layouts == [True, True, False]


@networks
def test_without_onednn_the_networks_are_torchs_own(monkeypatch: pytest.MonkeyPatch, config: TrainConfig) -> None:
    found = trained(network(config))
    monkeypatch.setattr(onednn, "_HAS_ONEDNN", False)
    for name, tensor in trained(network(config)).items():
        torch.testing.assert_close(tensor, found[name], rtol=1e-4, atol=1e-5)
