"""A report's files in a run's folder: whole, or not at all."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_shared.contracts.reports import EvaluationReport
from mnist_shared.reports.page import report_page
from mnist_shared.reports.pictures import calibration_png, confusion_png, mistakes_png
from mnist_shared.volume.files import write_files


def write_report(
    folder: Path,
    report: EvaluationReport,
    images: NDArray[np.uint8],
    *,
    title: str,
    facts: Iterable[tuple[str, str]],
    attempt: int,
    authorize: Callable[[], None],
) -> None:
    """Write report.json, report.html, confusion.png, mistakes.png and calibration.png into `folder`.

    `images`, uint8 [N, 28, 28], is the test set; `authorize` is asked before each file gets its name.

    Raises:
        LeaseLost: `authorize` raised it.
        VolumeError: the volume is full, read-only or out of reach.
    """
    page = report_page(report, images, title=title, facts=facts)
    files = [
        ("confusion.png", confusion_png(report)),
        ("mistakes.png", mistakes_png(report, images)),
        ("calibration.png", calibration_png(report)),
        ("report.json", report.model_dump_json(indent=2).encode()),
        ("report.html", page.encode()),
    ]
    write_files(folder, files, attempt=attempt, authorize=authorize)
