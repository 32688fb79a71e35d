"""Why `predict` prepares pictures as MNIST was prepared: digits drawn at any size, place and polarity."""

import numpy as np
import pytest
import torch
from PIL import Image

from mnist_client.pictures import prepared, shrunk
from mnist_shared.contracts.config import make_train_config
from mnist_shared.training.checkpoints import CheckpointStore
from mnist_shared.training.data import Dataset
from mnist_shared.training.evaluation import normalised
from mnist_shared.training.tested import load_tested
from mnist_shared.training.trainer import train

NUM_DRAWN = 400


@pytest.fixture(scope="module")
def network(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    """Half an epoch's worth of the fast preset."""
    folder = tmp_path_factory.mktemp("run")
    half = Dataset(
        "mnist",
        mnist.train_images[:20_000],
        mnist.train_labels[:20_000],
        mnist.test_images[:100],
        mnist.test_labels[:100],
        mean=mnist.mean,
        std=mnist.std,
        sha256="0" * 64,
    )
    train(
        make_train_config(preset="fast", epochs=1),
        data=half,
        device=torch.device("cpu"),
        num_threads=1,
        checkpoints=CheckpointStore(folder, attempt=1, authorize=lambda: None, keep_last=1),
        model_path=folder / "mnist_cnn.pt",
        on_event=lambda event: None,
        should_stop=lambda: False,
    )
    return load_tested(folder, target="0" * 12, on_event=lambda event: None).model.eval()


def drawn(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """A test digit as somebody may photograph it: larger, anywhere on the sheet, dark or light, a little noisy."""
    digit = Image.fromarray(image).crop((4, 4, 24, 24))
    side = int(random.integers(40, 160))
    sheet = Image.new("L", (int(random.integers(side, 400)), int(random.integers(side, 400))))
    place = (int(random.integers(sheet.width - side + 1)), int(random.integers(sheet.height - side + 1)))
    sheet.paste(digit.resize((side, side), Image.Resampling.BICUBIC), place)
    noise = random.normal(8, 3, (sheet.height, sheet.width))
    grey = (np.asarray(sheet, dtype=np.float64) * random.uniform(0.5, 0.9) + noise).clip(0, 255)
    return Image.fromarray((255 - grey if random.random() < 0.5 else grey).astype(np.uint8))


def test_preparation_is_what_makes_drawn_digits_readable(mnist: Dataset, network: torch.nn.Module) -> None:
    random = np.random.default_rng(7)
    labels = mnist.test_labels[:NUM_DRAWN]
    pictures = [drawn(image, random) for image in mnist.test_images[:NUM_DRAWN].numpy()]

    def accuracy(fields: list[np.ndarray]) -> float:
        with torch.inference_mode():
            logs = network(normalised(torch.from_numpy(np.stack(fields)), mean=mnist.mean, std=mnist.std))
        return float((logs.argmax(dim=1) == labels).float().mean())

    with_it = accuracy([prepared(picture) for picture in pictures])
    without = accuracy([shrunk(picture) for picture in pictures])
    print(f"drawn digits: {with_it:.1%} prepared, {without:.1%} only shrunk to 28 x 28")
    assert with_it > 0.95
    assert without < 0.5
