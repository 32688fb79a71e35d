"""scikit-learn's bundled handwriting (1,797 images of 8 x 8) in MNIST's shape: a real data set that needs no network.

Source: https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits, its test part.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnist_shared.errors import MissingPart

TEST_SHARE = 5  # one image in so many is a test image
SPLIT_SEED = 0


def load_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(train images, train labels, test images, test labels): uint8 [1437 or 360, 28, 28], int64 [...].

    The split and every pixel are the same on each machine: integers only, and a generator that numpy keeps stable.

    Raises:
        MissingPart: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingPart(
            "The data set 'digits' comes with scikit-learn, which is not installed.",
            hint="pip install 'mnist-shared[train]'",
        ) from error
    found = datasets.load_digits()
    images = torch.from_numpy(enlarged(found.images.astype(np.int64)))
    labels = torch.from_numpy(found.target.astype(np.int64))
    # By chance and not every fifth: the digits come in the order 0, 1, 2 ... again and again.
    # RandomState and not Generator: NEP 19 freezes its stream.
    order = torch.from_numpy(np.random.RandomState(SPLIT_SEED).permutation(len(labels)))
    num_test = -(-len(labels) // TEST_SHARE)
    test, train = order[:num_test], order[num_test:]
    return images[train], labels[train], images[test], labels[test]


def enlarged(images: NDArray[np.int64]) -> NDArray[np.uint8]:
    """int64 [N, 8, 8], values 0..16, to uint8 [N, 28, 28], values 0..255: bilinear, by integers, rounded half up."""
    weights = _bilinear_14ths()
    scaled: NDArray[np.int64] = weights @ images @ weights.T  # in 196ths of a sixteenth
    unit = 16 * 14 * 14
    return ((scaled * 255 + unit // 2) // unit).astype(np.uint8)


def _bilinear_14ths() -> NDArray[np.int64]:
    # Output pixel i lies at (i + 1/2) * 8/28 - 1/2 = (4 i - 5) / 14 of the input (torch's align_corners=False): all
    # weights are whole 14ths. Beyond the outermost pixels' centres the outermost pixel counts alone.
    weights = np.zeros((28, 8), dtype=np.int64)
    for i in range(28):
        place = min(max(4 * i - 5, 0), 7 * 14)
        left, part = divmod(place, 14)
        weights[i, left] += 14 - part
        weights[i, min(left + 1, 7)] += part
    return weights
