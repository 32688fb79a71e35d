"""The pictures and the page of a report."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_shared.contracts.reports import EvaluationReport
from mnist_shared.errors import LeaseLost, VolumeError
from mnist_shared.reports.measures import measure
from mnist_shared.reports.page import grey_png, report_page
from mnist_shared.reports.writing import write_report

IMAGES = np.random.default_rng(1).integers(0, 256, (200, 28, 28), dtype=np.uint8)
FILES = {"report.json", "report.html", "confusion.png", "mistakes.png", "calibration.png"}


def a_report(num_wrong: int, classes: tuple[str, ...] = tuple("0123456789")) -> EvaluationReport:
    labels = np.arange(200) % 10
    scores = np.full((200, 10), -4.0)
    scores[np.arange(200), labels] = 2.0
    scores[np.arange(num_wrong), (labels[:num_wrong] + 1) % 10] = 3.0
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return measure(logs.astype(np.float32), labels, dataset="mnist", classes=classes)


def write(folder: Path, report: EvaluationReport, *, attempt: int = 1, authorize=lambda: None) -> None:
    write_report(folder, report, IMAGES, title="run", facts=[], attempt=attempt, authorize=authorize)


@pytest.mark.parametrize("num_wrong", [0, 3, 40])
def test_all_files_are_written_and_the_pictures_can_be_read(tmp_path, num_wrong):
    write(tmp_path, a_report(num_wrong))
    assert {file.name for file in tmp_path.iterdir()} == FILES
    for name in FILES:
        if name.endswith(".png"):
            with Image.open(tmp_path / name) as picture:
                picture.load()
                assert picture.width > 500


def test_equal_reports_give_equal_files(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder, a_report(7))
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_who_lost_the_run_writes_nothing(tmp_path):
    def refuse() -> None:
        raise LeaseLost("Attempt 1 no longer owns the run.")

    with pytest.raises(LeaseLost):
        write(tmp_path, a_report(1), authorize=refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_volume_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VolumeError):
        write(tmp_path / "file" / "evaluation", a_report(1))


def test_the_page_stands_on_its_own_and_shows_each_mistake():
    page = report_page(a_report(40), IMAGES, title="run", facts=[("device", "cpu")])
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert page.count("<figure>") == 25
    assert "prefers-color-scheme: dark" in page


def test_what_comes_from_outside_is_escaped_on_the_page():
    page = report_page(a_report(3, classes=("<script>", *"123456789")), IMAGES, title="<em>", facts=[("<i>", "<u>")])
    for tag in ("<script>", "<em>", "<i>", "<u>"):
        assert tag not in page
    assert "&lt;script&gt;" in page


def test_a_grey_picture_is_read_back_pixel_by_pixel():
    picture = Image.open(io.BytesIO(grey_png(IMAGES[0])))
    assert np.array_equal(np.asarray(picture), IMAGES[0])
