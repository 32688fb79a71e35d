"""An evaluation's figures, against counts by hand and against statsmodels-free textbook values."""

import numpy as np
import pytest

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.reports import REPORT, EvaluationReport
from mnist_shared.reports.measures import calibration, measure, wilson_interval

CLASSES = ("cat", "dog", "fox")
# Labels 0 0 0 1 1 2; the answers are 0 0 1 1 1 0.
LABELS = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.97, 0.02, 0.01]]
)


@pytest.fixture
def report() -> EvaluationReport:
    return measure(np.log(PROBABILITIES).astype(np.float32), LABELS, dataset="pets", classes=CLASSES)


def test_the_confusion_matrix_has_labels_in_its_rows_and_answers_in_its_columns(report):
    assert report.confusion == ((2, 1, 0), (0, 2, 0), (1, 0, 0))
    assert (report.correct, report.total) == (4, 6)


def test_each_class_has_precision_recall_f1_and_support(report):
    cat, dog, fox = report.per_class
    assert (cat.precision, cat.recall, cat.support) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert (dog.precision, dog.recall, dog.support) == (pytest.approx(2 / 3), 1.0, 2)
    assert dog.f1 == pytest.approx(0.8)
    assert (fox.precision, fox.recall, fox.f1, fox.support) == (0.0, 0.0, 0.0, 1)  # never answered: 0, not a warning


def test_the_worst_mistake_is_the_one_whose_right_answer_got_least(report):
    first, second = report.mistakes
    assert (first.index, first.label, first.predicted) == (5, "fox", "cat")
    assert first.probability == pytest.approx(0.97)
    assert first.label_probability == pytest.approx(0.01)
    assert second.index == 2


def test_the_most_confused_pairs_have_a_direction(report):
    assert [(pair.label, pair.predicted, pair.count) for pair in report.confused_pairs] == [
        ("cat", "dog", 1),
        ("fox", "cat", 1),
    ]
    assert report.confused_pairs[1].share == 1.0


def test_the_loss_is_the_mean_negative_log_likelihood(report):
    right = PROBABILITIES[np.arange(6), LABELS]
    assert report.average_loss == pytest.approx(-np.log(right).mean(), abs=1e-6)


def test_a_report_survives_the_way_to_disk_and_back(report):
    assert read_document(REPORT, report.model_dump_json(), what="a report") == report


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_the_interval_is_wilsons(correct, total, low, high):
    interval = wilson_interval(correct, total)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_an_interval_never_leaves_what_is_possible():
    assert 0.999 < wilson_interval(10, 10).high <= 1.0
    assert wilson_interval(0, 10).low == 0.0


def test_a_network_that_is_right_as_often_as_it_says_has_no_calibration_error():
    confidence = np.repeat([0.75, 0.95], [4, 20])
    is_correct = np.array([True, True, True, False] + [True] * 19 + [False])
    assert calibration(confidence, is_correct).expected_error == pytest.approx(0.0)


def test_overconfidence_is_the_distance_of_confidence_and_accuracy_weighted_by_images():
    confidence = np.repeat([0.99, 0.51], [3, 1])
    is_correct = np.array([True, False, False, True])
    expected = 3 / 4 * abs(0.99 - 1 / 3) + 1 / 4 * abs(0.51 - 1)
    found = calibration(confidence, is_correct)
    assert found.expected_error == pytest.approx(expected)
    assert sum(one.count for one in found.bins) == 4


def test_a_certain_answer_lies_in_the_last_bin():
    found = calibration(np.array([1.0]), np.array([True]))
    assert found.bins[-1].count == 1
