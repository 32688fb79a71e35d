"""Which wrong answers are the worst."""

import numpy as np
from numpy.typing import NDArray


def worst_mistakes(answers: NDArray[np.floating], labels: NDArray[np.int64], *, most: int) -> NDArray[np.intp]:
    """Up to `most` places of wrong answers, those first in which the right one got the least; of equals the first.

    `answers` are probabilities or their logarithms, float [N, C]; `labels` int64 [N].
    """
    wrong = np.flatnonzero(answers.argmax(axis=1) != labels)
    return wrong[np.argsort(answers[wrong, labels[wrong]], kind="stable")][:most]
