"""What a training image becomes: derived from seed and epoch, and no more than was asked for."""

import pytest
import torch
from torch import Tensor

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.training.augment import TrainingView
from mnist_shared.training.data import Dataset
from mnist_shared.training.evaluation import normalised

MEAN, STD = 0.3, 0.35
ALL = torch.arange(40)


def seen(images: Tensor, *, epoch: int = 1, chosen: Tensor = ALL, **arguments: float) -> Tensor:
    view = TrainingView(images, config=TrainConfig(**arguments), mean=MEAN, std=STD)  # type: ignore[arg-type]
    view.begin_epoch(epoch)
    return view.batch(chosen)


@pytest.fixture
def images(small: Dataset) -> Tensor:
    return small.train_images[:40].clone()


@pytest.mark.parametrize("strengths", [{}, {"shift": 2}, {"rotate": 10.0, "scale": 0.1, "shear": 5.0, "shift": 1}])
def test_an_image_is_the_same_whenever_it_is_looked_at_in_an_epoch(images: Tensor, strengths: dict[str, float]) -> None:
    before = images.clone()
    whole = seen(images, **strengths)
    assert whole.shape == (40, 1, 28, 28)
    assert torch.equal(seen(images, chosen=torch.tensor([7, 3]), **strengths), whole[[7, 3]])
    assert torch.equal(images, before), "the data set is shared"
    assert torch.equal(seen(images, epoch=2, **strengths), whole) == (strengths == {})
    assert torch.equal(seen(images, seed=2, **strengths), whole) == (strengths == {})


def test_without_strengths_it_is_the_image_itself(images: Tensor) -> None:
    assert torch.equal(seen(images), normalised(images, mean=MEAN, std=STD))


def test_a_shift_is_by_whole_pixels_in_all_directions_and_black_comes_in(images: Tensor) -> None:
    found = seen(images, shift=1)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    candidates = {
        (down, right): normalised(padded[:, down : down + 28, right : right + 28], mean=MEAN, std=STD)
        for down in range(3)
        for right in range(3)
    }
    met = [next(place for place, all_ in candidates.items() if torch.equal(all_[i], found[i])) for i in range(40)]
    assert len(set(met)) > 5


def test_a_turn_keeps_the_middle_and_black_comes_in_at_the_corners() -> None:
    white = torch.full((40, 28, 28), 255, dtype=torch.uint8)
    found = seen(white, rotate=45.0)
    inside, outside = (1 - MEAN) / STD, -MEAN / STD
    torch.testing.assert_close(found[:, 0, 13:15, 13:15], torch.full((40, 2, 2), inside))
    assert found[:, 0, 0, 0].min() == pytest.approx(outside)


@pytest.mark.parametrize("strength", [{"scale": 0.2}, {"shear": 20.0}, {"rotate": 20.0}])
def test_each_strength_has_an_effect_of_its_own(images: Tensor, strength: dict[str, float]) -> None:
    found, plain = seen(images, **strength), seen(images)
    assert not torch.allclose(found, plain)
    # Still the same digits, not noise.
    flat = torch.stack((found.flatten(), plain.flatten()))
    assert torch.corrcoef(flat)[0, 1] > 0.5


def test_an_affine_image_is_the_one_of_torchs_own_grid(images: Tensor) -> None:
    view = TrainingView(images, config=TrainConfig(rotate=20.0, scale=0.2, shear=9.0, shift=2), mean=MEAN, std=STD)
    view.begin_epoch(1)
    expected = torch.nn.functional.affine_grid(view._matrices, [40, 1, 28, 28], align_corners=False)
    torch.testing.assert_close(view._sources(ALL), expected)
