"""The two networks: the reference of pytorch/examples, and a compact one. Written so that a CPU is quick with them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.errors import CheckpointError
from mnist_shared.training.dropout import ByteDropout
from mnist_shared.training.onednn import Linear, blocked, dense


class ReferenceNet(nn.Module):
    """The network of https://github.com/pytorch/examples/blob/main/mnist/main.py, with its parameter names.

    A state_dict of either loads into the other. It computes the same function: the max-pool stands before the second
    ReLU (they commute, and ReLU then sees a quarter of the elements). Arrays are in oneDNN's own layout, where that
    computes it; elsewhere in channels_last, the next best (DESIGN.md, table of the trainer).
    """

    chunk = 128  # images that a CPU evaluates most quickly at once: more of their activations leave the cache

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout1 = ByteDropout(0.25)
        self.dropout2 = ByteDropout(0.5)
        self.fc1 = Linear(9216, 128)
        self.fc2 = Linear(128, 10)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the class probabilities, float [N, 10], of normalised images, float [N, 1, 28, 28]."""
        x = functional.relu(self.conv1(blocked(self, x)), inplace=True)
        x = functional.relu(_halved(self.conv2(x)))
        x = self.dropout1(torch.flatten(dense(x), 1))
        x = functional.relu(self.fc1(x), inplace=True)
        x = self.dropout2(x)
        return functional.log_softmax(self.fc2(x), dim=1)


class CompactNet(nn.Module):
    """Four convolutions without padding or bias, each with batch normalisation, and one linear layer on 2 x 2 pixels.

    A fifth of the reference network's time a training image and more accurate, at 30 to 150 thousand parameters instead
    of 1.2 million. The max-pool stands before the normalisation, which so sees a quarter of the elements. `widths` are
    the convolutions' channels; multiples of 16 are quickest.
    """

    chunk = 256  # as the reference network's

    def __init__(self, widths: tuple[int, int, int, int], *, momentum: float) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = nn.Conv2d(1, first, 5, bias=False)
        self.norm1 = nn.BatchNorm2d(first, momentum=momentum)
        self.conv2 = nn.Conv2d(first, second, 3, bias=False)
        self.norm2 = nn.BatchNorm2d(second, momentum=momentum)
        self.conv3 = nn.Conv2d(second, third, 3, bias=False)
        self.norm3 = nn.BatchNorm2d(third, momentum=momentum)
        self.conv4 = nn.Conv2d(third, fourth, 3, bias=False)
        self.norm4 = nn.BatchNorm2d(fourth, momentum=momentum)
        self.fc = Linear(4 * fourth, 10)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the class probabilities, float [N, 10], of normalised images, float [N, 1, 28, 28]."""
        x = functional.relu(self.norm1(_halved(self.conv1(blocked(self, x)))), inplace=True)  # [N, w0, 12, 12]
        x = functional.relu(self.norm2(self.conv2(x)), inplace=True)  # [N, w1, 10, 10]
        x = functional.relu(self.norm3(_halved(self.conv3(x))), inplace=True)  # [N, w2, 4, 4]
        x = functional.relu(self.norm4(self.conv4(x)), inplace=True)  # [N, w3, 2, 2]
        return functional.log_softmax(self.fc(torch.flatten(dense(x), 1)), dim=1)


def _halved(x: Tensor) -> Tensor:
    """The greatest of each 2 x 2 pixels."""
    return functional.max_pool2d(x, 2, stride=2)  # in oneDNN's layout the stride has to be said


def new_network(config: TrainConfig) -> nn.Module:
    """The network that `config` asks for, on the CPU; its weights are drawn from torch's default generator."""
    if config.network == "compact":
        return CompactNet(config.widths, momentum=config.batch_norm_momentum)
    return ReferenceNet()


def tested_weights(state: Mapping[str, Any]) -> Any:
    """What of a checkpoint's state is evaluated and saved as the model: the averaged weights, where there are some."""
    averaged = state.get("averaged")
    return state.get("model") if averaged is None else averaged


def load_weights(model: nn.Module, weights: object) -> None:
    """Copy a state_dict from outside into `model`, whose tensors keep their device and memory format.

    Raises:
        CheckpointError: it is not a state_dict of this network.
    """
    try:
        model.load_state_dict(weights)  # type: ignore[arg-type]
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"The checkpoint's weights do not fit {type(model).__name__}.", hint="It was written for another network."
        ) from error
