"""The network computes what the reference network computes, and its state_dict is the reference's."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mnist_shared.contracts.config import make_train_config
from mnist_shared.errors import CheckpointError
from mnist_shared.training.checkpoints import save_model
from mnist_shared.training.digests import weights_sha256
from mnist_shared.training.model import CompactNet, ReferenceNet, load_weights, new_network


class Textbook(nn.Module):
    """The reference network as one would write it down."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, stride=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, stride=1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(64 * 12 * 12, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = self.dropout1(functional.max_pool2d(x, 2))
        x = torch.relu(self.fc1(torch.flatten(x, 1)))
        return functional.log_softmax(self.fc2(self.dropout2(x)), dim=1)


@pytest.fixture
def ours() -> ReferenceNet:
    torch.manual_seed(3)
    return ReferenceNet()


def test_it_computes_what_the_textbook_computes(ours: ReferenceNet) -> None:
    textbook = Textbook()
    textbook.load_state_dict(ours.state_dict())
    images = torch.randn(32, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), textbook.eval()(images), rtol=1e-4, atol=1e-5)


def test_its_gradients_are_the_textbooks(ours: ReferenceNet) -> None:
    textbook = Textbook()
    textbook.load_state_dict(ours.state_dict())
    images, labels = torch.randn(32, 1, 28, 28), torch.randint(10, (32,))
    for model in (ours.eval(), textbook.eval()):
        functional.nll_loss(model(images), labels).backward()  # type: ignore[no-untyped-call]
    for (name, one), other in zip(ours.named_parameters(), textbook.parameters(), strict=True):
        torch.testing.assert_close(
            one.grad, other.grad, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_saved_model_loads_into_the_textbook_and_back(ours: ReferenceNet, tmp_path: Path) -> None:
    save_model(tmp_path / "mnist_cnn.pt", ours, attempt=1, authorize=lambda: None)
    textbook = Textbook()
    textbook.load_state_dict(torch.load(tmp_path / "mnist_cnn.pt", weights_only=True))
    again = ReferenceNet()
    load_weights(again, textbook.state_dict())
    assert weights_sha256(again) == weights_sha256(ours)


def test_the_same_seed_draws_the_textbooks_weights(ours: ReferenceNet) -> None:
    torch.manual_seed(3)
    assert weights_sha256(Textbook()) == weights_sha256(ours)


def test_both_dropouts_are_on_in_training(ours: ReferenceNet) -> None:
    images = torch.randn(4, 1, 28, 28)
    assert not torch.equal(ours(images), ours(images))
    assert (ours.dropout1.p, ours.dropout2.p) == (0.25, 0.5)


def test_a_stranger_is_not_loaded(ours: ReferenceNet) -> None:
    for stranger in ({"conv1.weight": torch.zeros(1)}, None, {}):
        with pytest.raises(CheckpointError, match="do not fit"):
            load_weights(ours, stranger)


def test_the_digest_sees_values_names_and_shapes_but_not_the_memory_format(ours: ReferenceNet) -> None:
    state = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    digest = weights_sha256(ours)
    assert weights_sha256({name: tensor.contiguous() for name, tensor in state.items()}) == digest
    bit = {**state, "fc2.bias": state["fc2.bias"].nextafter(torch.tensor(9.0))}
    assert weights_sha256(bit) != digest
    assert weights_sha256({**state, "fc2.bias": state["fc2.bias"].reshape(2, 5)}) != digest
    assert weights_sha256({f"x{name}": tensor for name, tensor in state.items()}) != digest
    assert weights_sha256({**state, "fc2.bias": state["fc2.bias"].view(torch.int32)}) != digest


def test_the_compact_network_is_the_one_that_is_described() -> None:
    """28 pixels a side, 24, pool 12, 10, 8, pool 4, 2; no convolution with padding or bias, each normalised."""
    torch.manual_seed(3)
    ours = CompactNet((3, 4, 5, 6), momentum=0.3)
    textbook = nn.Sequential(
        nn.Conv2d(1, 3, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(3, momentum=0.3), nn.ReLU(),
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, momentum=0.3), nn.ReLU(),
        nn.Conv2d(4, 5, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(5, momentum=0.3), nn.ReLU(),
        nn.Conv2d(5, 6, 3, bias=False), nn.BatchNorm2d(6, momentum=0.3), nn.ReLU(),
        nn.Flatten(), nn.Linear(24, 10), nn.LogSoftmax(dim=1),
    )  # fmt: skip
    names = list(textbook.state_dict())
    textbook.load_state_dict(dict(zip(names, ours.state_dict().values(), strict=True)))
    images = torch.randn(8, 1, 28, 28)
    found = ours(images)
    torch.testing.assert_close(found, textbook(images), rtol=1e-4, atol=1e-5)
    assert found.exp().sum(dim=1).allclose(torch.ones(8))
    for one, other in zip(ours.state_dict().values(), textbook.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, check_stride=False)
    torch.testing.assert_close(ours.eval()(images), textbook.eval()(images), rtol=1e-4, atol=1e-5)


def test_the_configuration_says_which_network_it_is() -> None:
    assert isinstance(new_network(make_train_config()), ReferenceNet)
    compact = new_network(make_train_config(preset="fast", widths="4,4,4,8"))
    assert isinstance(compact, CompactNet)
    assert compact.fc.in_features == 32
