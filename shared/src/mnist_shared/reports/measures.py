"""From a network's answers to an evaluation's figures."""

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mnist_shared.contracts.reports import (
    Calibration,
    CalibrationBin,
    ClassScore,
    ConfusedPair,
    EvaluationReport,
    Interval,
    Mistake,
)
from mnist_shared.reports.mistakes import worst_mistakes

NUM_MISTAKES = 25
NUM_PAIRS = 10
NUM_BINS = 15  # as in Guo et al. 2017, https://arxiv.org/abs/1706.04599
Z_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def measure(
    log_probabilities: NDArray[np.float32], labels: Ints, *, dataset: str, classes: tuple[str, ...]
) -> EvaluationReport:
    """All figures of a report.

    Args:
        log_probabilities: float [N, C], the network's answers.
        labels: int64 [N], values below C.
        dataset: its name.
        classes: the C classes' names, in the order of the labels.
    """
    logs = log_probabilities.astype(np.float64)
    probabilities = np.exp(logs)
    answers: Ints = logs.argmax(axis=1)
    correct, total = int((answers == labels).sum()), len(labels)
    known = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(labels, answers, labels=known, zero_division=0.0)
    confusion: Ints = confusion_matrix(labels, answers, labels=known)
    return EvaluationReport(
        dataset=dataset,
        classes=classes,
        correct=correct,
        total=total,
        accuracy=correct / total,
        interval=wilson_interval(correct, total),
        average_loss=float(-logs[np.arange(total), labels].mean()),
        per_class=tuple(
            ClassScore(
                label=name,
                precision=float(precision[n]),
                recall=float(recall[n]),
                f1=float(f1[n]),
                support=int(support[n]),
            )
            for n, name in enumerate(classes)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        confused_pairs=_confused_pairs(confusion, classes),
        mistakes=_mistakes(worst_mistakes(logs, labels, most=NUM_MISTAKES), probabilities, answers, labels, classes),
        calibration=calibration(probabilities.max(axis=1), answers == labels),
    )


def wilson_interval(correct: int, total: int) -> Interval:
    """The 95 % score interval of a proportion (Wilson 1927): sound near 100 %, where the textbook one is not."""
    share, z2 = correct / total, Z_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half))


def calibration(confidence: Floats, is_correct: NDArray[np.bool_], *, num_bins: int = NUM_BINS) -> Calibration:
    """Confidence against accuracy in bins of equal width, and their expected distance (ECE).

    `confidence`, float [N], is the probability of each answer; `is_correct`, bool [N], whether it was right.
    """
    place = np.minimum((confidence * num_bins).astype(np.int64), num_bins - 1)
    bins, error = [], 0.0
    for number in range(num_bins):
        inside = place == number
        count = int(inside.sum())
        mean, accuracy = (float(confidence[inside].mean()), float(is_correct[inside].mean())) if count else (None, None)
        if mean is not None and accuracy is not None:
            error += count / len(confidence) * abs(mean - accuracy)
        bins.append(
            CalibrationBin(
                low=number / num_bins, high=(number + 1) / num_bins, count=count, confidence=mean, accuracy=accuracy
            )
        )
    return Calibration(expected_error=error, bins=tuple(bins))


def _confused_pairs(confusion: Ints, classes: tuple[str, ...]) -> tuple[ConfusedPair, ...]:
    counts = confusion.copy()
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:NUM_PAIRS]
    pairs = []
    for label, answer in zip(*np.unravel_index(order, counts.shape), strict=True):
        if counts[label, answer] > 0:
            pairs.append(
                ConfusedPair(
                    label=classes[label],
                    predicted=classes[answer],
                    count=int(counts[label, answer]),
                    share=float(counts[label, answer] / confusion[label].sum()),
                )
            )
    return tuple(pairs)


def _mistakes(
    places: NDArray[np.intp], probabilities: Floats, answers: Ints, labels: Ints, classes: tuple[str, ...]
) -> tuple[Mistake, ...]:
    return tuple(
        Mistake(
            index=int(index),
            label=classes[labels[index]],
            predicted=classes[answers[index]],
            probability=float(min(1.0, probabilities[index, answers[index]])),
            label_probability=float(probabilities[index, labels[index]]),
        )
        for index in places
    )
