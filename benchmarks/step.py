"""How long a training step takes, here and in the loop of pytorch/examples mnist/main.py: the same network, batch 64.

    MNIST_DATA_DIR=... python -m benchmarks.step [--turns 9] [--batches 150] [--threads 2]

Each turn is a process of its own, the two sides take turns, and the ratio is of the medians. The reference is written
after its published description (https://github.com/pytorch/examples/tree/main/mnist): DataLoader with its transforms a
sample, Adadelta, a log line every ten batches.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "mnist"
WARM_UP = 20  # batches that are not counted


def reference(num_batches: int, data_dir: Path) -> float:
    """Seconds for `num_batches` steps of the reference loop."""
    import torch
    from torch import nn
    from torch.nn import functional
    from torchvision import datasets, transforms

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
            x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
            x = torch.flatten(self.dropout1(functional.max_pool2d(x, 2)), 1)
            x = self.fc2(self.dropout2(functional.relu(self.fc1(x))))
            return functional.log_softmax(x, dim=1)

    torch.manual_seed(1)
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    loader = torch.utils.data.DataLoader(
        datasets.MNIST(str(data_dir), train=True, transform=normalise), batch_size=64, shuffle=True
    )
    model = Net()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    model.train()
    started = 0.0
    for number, (images, labels) in enumerate(loader):
        if number == WARM_UP:
            started = time.perf_counter()
        if number == WARM_UP + num_batches:
            break
        optimizer.zero_grad()
        loss = functional.nll_loss(model(images), labels)
        loss.backward()
        optimizer.step()
        if number % 10 == 0:
            print(f"batch {number} loss {loss.item():.6f}", file=sys.stderr)
    return time.perf_counter() - started


def ours(num_batches: int, data_dir: Path) -> float:
    """Seconds for `num_batches` steps of the trainer, with its events; checkpoints are a matter of once in 30 s."""
    from mnist_shared.training.allocator import raise_malloc_thresholds

    raise_malloc_thresholds()
    import torch

    from mnist_shared.contracts.config import TrainConfig
    from mnist_shared.training.checkpoints import CheckpointStore
    from mnist_shared.training.data import load_dataset
    from mnist_shared.training.trainer import train

    calls: list[float] = []

    def should_stop() -> bool:
        calls.append(time.perf_counter())
        return len(calls) > WARM_UP + num_batches

    with tempfile.TemporaryDirectory() as folder:
        train(
            TrainConfig(save_model=False),
            data=load_dataset("mnist", folder=data_dir),
            device=torch.device("cpu"),
            num_threads=torch.get_num_threads(),
            checkpoints=CheckpointStore(Path(folder), attempt=1, authorize=lambda: None, keep_last=1),
            model_path=Path(folder) / "mnist_cnn.pt",
            on_event=lambda event: print(event.model_dump_json(), file=sys.stderr),
            should_stop=should_stop,
        )
    return calls[WARM_UP + num_batches] - calls[WARM_UP]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--side", choices=["reference", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    data_dir = Path(os.environ.get("MNIST_DATA_DIR") or DEFAULT_DATA)
    if options.side:
        side = {"reference": reference, "ours": ours}[options.side]
        print(side(options.batches, data_dir))
        return
    seconds: dict[str, list[float]] = {"reference": [], "ours": []}
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "MNIST_DATA_DIR": str(data_dir)}
    for _ in range(options.turns):
        for side in seconds:
            command = [sys.executable, "-m", "benchmarks.step", "--side", side, "--batches", str(options.batches)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            seconds[side].append(float(done.stdout) / options.batches * 1000)
    import torch

    print(
        f"{platform.machine()}, {options.threads} threads, torch {torch.__version__}, {options.turns} turns, batch 64"
    )
    for side, values in seconds.items():
        low, high = min(values), max(values)
        print(f"{side:10} {statistics.median(values):6.1f} ms a step (median; {low:.1f} to {high:.1f})")
    ratio = statistics.median(seconds["ours"]) / statistics.median(seconds["reference"])
    pairs = [own / other for own, other in zip(seconds["ours"], seconds["reference"], strict=True)]
    print(f"ratio      {ratio:.2f} of the medians; pair by pair {min(pairs):.2f} to {max(pairs):.2f}")


if __name__ == "__main__":
    main()
