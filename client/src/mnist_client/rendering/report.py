"""An evaluation's figures on a terminal: the confusion matrix, each class's scores, and what is confused most."""

from mnist_client.rendering.output import Paper
from mnist_client.rendering.wording import normalised_as
from mnist_shared.contracts.reports import EvaluationReport

NUM_PAIRS = 5
GAP = "   "
MAX_LABEL = 12  # columns


def report_lines(report: EvaluationReport, paper: Paper) -> list[str]:
    """The matrix with the scores beside it where there is room, and below it where there is not."""
    labels = [name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "." for name in report.classes]
    matrix, scores = _matrix(report, labels, paper), _scores(report)
    plain_width = _matrix_width(report, labels) + len(GAP) + len(scores[0])
    lines = ["", "rows: labels, columns: answers"]
    if paper.width is None or plain_width <= paper.width:
        lines += [f"{left}{GAP}{right}" for left, right in zip(matrix, scores, strict=True)]
    else:
        stub = max(map(len, labels))
        names = ["", *labels]
        lines += [*matrix, ""]
        lines += [f"{name:>{stub}}{GAP}{right}" for name, right in zip(names, scores, strict=True)]
    if report.normalisation is not None:
        lines += ["", f"images normalised as {normalised_as(report.normalisation)}"]
    if report.confused_pairs:
        listed = ", ".join(f"{one.label} → {one.predicted} ({one.count})" for one in report.confused_pairs[:NUM_PAIRS])
        lines += ["", f"most confused: {listed}"]
    return lines


def _matrix(report: EvaluationReport, labels: list[str], paper: Paper) -> list[str]:
    """Rows are labels, columns are answers; right answers in green, wrong ones in red."""
    stub, cell = max(map(len, labels)), _cell(report, labels)
    lines = [paper.paint(" " * stub + "".join(f"{name[: cell - 1]:>{cell}}" for name in labels), bold=True)]
    for number, (name, row) in enumerate(zip(labels, report.confusion, strict=True)):
        line = paper.paint(f"{name:>{stub}}", bold=True)
        for answer, count in enumerate(row):
            text = f"{count if count or answer == number else '.':>{cell}}"
            if answer == number:
                line += paper.paint(text, fg="green")
            else:
                line += paper.paint(text, fg="red", bold=True) if count else paper.paint(text, dim=True)
        lines.append(line)
    return lines


def _scores(report: EvaluationReport) -> list[str]:
    return ["precision  recall      F1  images"] + [
        f"{100 * one.precision:8.2f}% {100 * one.recall:6.2f}% {100 * one.f1:6.2f}%  {one.support:6}"
        for one in report.per_class
    ]


def _cell(report: EvaluationReport, labels: list[str]) -> int:
    """The columns of a count; names above it are cut to fit."""
    widest = max(len(str(count)) for row in report.confusion for count in row)
    return max(widest + 1, 4 if max(map(len, labels)) <= 3 else 6)


def _matrix_width(report: EvaluationReport, labels: list[str]) -> int:
    return max(map(len, labels)) + _cell(report, labels) * len(labels)
