"""pytorch/examples mnist/main.py, what everything is compared with, in pieces that can be timed.

Written after its published description (https://github.com/pytorch/examples/tree/main/mnist): DataLoader with its
transforms a sample, batch 64, Adadelta with gamma 0.7, a log line every ten batches, a pass over the test set in
batches of 1,000 after each epoch.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torchvision import datasets, transforms

NUM_BATCHES = 938  # an epoch


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        x = torch.flatten(self.dropout1(functional.max_pool2d(x, 2)), 1)
        x = self.fc2(self.dropout2(functional.relu(self.fc1(x))))
        return functional.log_softmax(x, dim=1)


class Script:
    """The script, its data set open and its network drawn."""

    def __init__(self, data_dir: Path, *, seed: int = 1) -> None:
        torch.manual_seed(seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        more = {"num_workers": 1, "pin_memory": True} if self.device.type == "cuda" else {}
        train, test = (datasets.MNIST(str(data_dir), train=part, transform=normalise) for part in (True, False))
        self._train = torch.utils.data.DataLoader(train, batch_size=64, shuffle=True, **more)
        self._test = torch.utils.data.DataLoader(test, batch_size=1000, shuffle=self.device.type == "cuda", **more)
        self._model = Net().to(self.device)
        self._optimizer = torch.optim.Adadelta(self._model.parameters(), lr=1.0)
        self._scheduler = torch.optim.lr_scheduler.StepLR(self._optimizer, step_size=1, gamma=0.7)

    def train(self) -> Iterator[int]:
        """An epoch; yields the number of finished batches after each."""
        self._model.train()
        for number, (images, labels) in enumerate(self._train):
            images, labels = images.to(self.device), labels.to(self.device)
            self._optimizer.zero_grad()
            loss = functional.nll_loss(self._model(images), labels)
            loss.backward()
            self._optimizer.step()
            if number % 10 == 0:
                print(f"batch {number} loss {loss.item():.6f}", file=sys.stderr)
            yield number + 1
        self._scheduler.step()

    def test(self) -> float:
        """The share of the test images that it gets right."""
        self._model.eval()
        loss, correct = 0.0, 0
        with torch.no_grad():
            for images, labels in self._test:
                images, labels = images.to(self.device), labels.to(self.device)
                output = self._model(images)
                loss += functional.nll_loss(output, labels, reduction="sum").item()
                correct += output.argmax(dim=1, keepdim=True).eq(labels.view_as(output[:, :1])).sum().item()
        return correct / 10_000

    def step_seconds(self, num_batches: int, *, warm_up: int) -> float:
        """Seconds of `num_batches` steps, after `warm_up` that do not count."""
        started = 0.0
        for done in self.train():
            if done == warm_up:
                started = time.perf_counter()
            if done == warm_up + num_batches:
                break
        return time.perf_counter() - started
