"""What an evaluation finds out besides the accuracy: `report.json` beside the run, and part of its result."""

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import Contract, Document


class Interval(Contract):
    """A confidence interval."""

    low: float
    high: float
    level: float = 0.95


class ClassScore(Contract):
    """How well one class is told from the others."""

    label: str
    precision: float = Field(ge=0, le=1)
    recall: float = Field(ge=0, le=1)
    f1: float = Field(ge=0, le=1)
    support: int = Field(ge=0)  # images of this class


class ConfusedPair(Contract):
    """Two classes that are taken for each other, in this direction."""

    label: str
    predicted: str
    count: int = Field(ge=1)
    share: float = Field(ge=0, le=1)  # of the images of `label`


class Mistake(Contract):
    """An image with a wrong answer."""

    index: int = Field(ge=0)  # in the test set
    label: str
    predicted: str
    probability: float = Field(ge=0, le=1)  # that the network gave to its wrong answer
    label_probability: float = Field(ge=0, le=1)  # and to the right one


class CalibrationBin(Contract):
    """The images whose answer was given with a probability between the two bounds."""

    low: float
    high: float
    count: int = Field(ge=0)
    confidence: float | None = None  # mean probability of the answers; None: no image
    accuracy: float | None = None


class Calibration(Contract):
    """Whether a probability of 90 % is right in 9 of 10 cases."""

    expected_error: float = Field(ge=0, le=1)  # ECE: mean distance of confidence and accuracy, weighted by images
    bins: tuple[CalibrationBin, ...]


class Normalisation(Contract):
    """What a network's input is made of: (pixel / 255 - mean) / std."""

    mean: float = Field(ge=0, le=1)  # of the training pixels, on a scale of 0 to 1
    std: float = Field(gt=0, le=1)
    dataset: str | None = None  # whose figures these are; None: a model file's, which names no data set


class EvaluationReport(Document):
    """All figures of an evaluation. Rates are fractions."""

    dataset: str
    normalisation: Normalisation | None = None  # of the images; None: an older worker's report, or a training run's
    classes: tuple[str, ...]
    correct: int = Field(ge=0)
    total: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)
    interval: Interval  # of the accuracy
    average_loss: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows: labels, columns: answers
    confused_pairs: tuple[ConfusedPair, ...]  # the most frequent first
    mistakes: tuple[Mistake, ...]  # the worst first
    calibration: Calibration


REPORT: TypeAdapter[EvaluationReport] = TypeAdapter(EvaluationReport)
