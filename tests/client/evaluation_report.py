"""An evaluation's figures, as a worker would have told them, and its files."""

from pathlib import Path

from mnist_client.commands.evaluate import FILES
from mnist_shared.contracts.reports import (
    Calibration,
    CalibrationBin,
    ClassScore,
    ConfusedPair,
    EvaluationReport,
    Interval,
    Mistake,
    Normalisation,
)


def a_report() -> EvaluationReport:
    """Of 10,000 images in two classes, 73 of them taken for the other."""
    return EvaluationReport(
        dataset="mnist",
        normalisation=Normalisation(mean=0.3056, std=0.3249, dataset="digits"),
        classes=("0", "1"),
        correct=9927,
        total=10_000,
        accuracy=0.9927,
        interval=Interval(low=0.9908, high=0.9942),
        average_loss=0.0226,
        per_class=(
            ClassScore(label="0", precision=0.99, recall=0.995, f1=0.992, support=5000),
            ClassScore(label="1", precision=0.995, recall=0.99, f1=0.992, support=5000),
        ),
        confusion=((4970, 30), (43, 4957)),
        confused_pairs=(ConfusedPair(label="1", predicted="0", count=43, share=0.0086),),
        mistakes=(Mistake(index=247, label="1", predicted="0", probability=0.97, label_probability=0.02),),
        calibration=Calibration(
            expected_error=0.0031,
            bins=(CalibrationBin(low=0.9, high=1.0, count=10_000, confidence=0.99, accuracy=0.9927),),
        ),
    )


def write_report_files(folder: Path) -> None:
    """Stand-ins for the files, each with its own name in it."""
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
