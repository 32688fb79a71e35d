"""The reference network of pytorch/examples, written so that a CPU is quick with it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnist_shared.errors import CheckpointError
from mnist_shared.training.dropout import ByteDropout


class ReferenceNet(nn.Module):
    """The network of https://github.com/pytorch/examples/blob/main/mnist/main.py, with its parameter names.

    A state_dict of either loads into the other. It computes the same function: the max-pool stands before the second
    ReLU (they commute, and ReLU then sees a quarter of the elements), and the weights lie in channels_last memory, in
    which the convolutions and the pool are quickest (DESIGN.md, table of the trainer).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout1 = ByteDropout(0.25)
        self.dropout2 = ByteDropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the class probabilities, float [N, 10], of normalised images, float [N, 1, 28, 28]."""
        x = functional.relu(self.conv1(x), inplace=True)
        x = functional.relu(functional.max_pool2d(self.conv2(x), 2), inplace=True)
        x = self.dropout1(torch.flatten(x, 1))
        x = functional.relu(self.fc1(x), inplace=True)
        x = self.dropout2(x)
        return functional.log_softmax(self.fc2(x), dim=1)


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
