"""An evaluation's pictures as PNG files: confusion matrix, worst mistakes, calibration."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mnist_shared.contracts.reports import EvaluationReport

DPI = 150
# 350 pixels, what TensorBoard gives a picture: a wider one loses pixels there, and with them its letters.
CARD_DPI, CARD_WIDTH = 80, 4.375
INK, PALE, BLUE, RED = "#1f2933", "#9aa5b1", "#2563eb", "#b42318"
_RIGHT = LinearSegmentedColormap.from_list("right", ["#ffffff", "#bcd2f7", BLUE])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#ffffff", "#f3b8b0", RED])
MISTAKE_COLUMNS = 5
CARD_MISTAKES = 15  # as high as the confusion matrix: TensorBoard shrinks what is higher


def confusion_png(report: EvaluationReport, *, is_card: bool = False) -> bytes:
    """The confusion matrix: right answers in blue by recall, wrong ones in red, as dark as they are frequent."""
    counts = np.array(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    num = len(report.classes)
    right = np.eye(num, dtype=bool)
    worst = float(shares[~right].max(initial=0.0)) or 1.0
    colours = np.where(right[..., None], _RIGHT(0.35 + 0.65 * shares), _WRONG(0.9 * shares / worst))
    colours[(counts == 0) & ~right] = (1, 1, 1, 1)
    long_names = max(map(len, report.classes)) > 2
    width, height = (7.4, 6.6) if long_names else (6.4, 5.9)
    size = CARD_WIDTH / width if is_card else 1.0
    figure = Figure(figsize=(size * width, size * height), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(colours)
    for row in range(num):
        for column in range(num):
            if counts[row, column] or row == column:
                dark = shares[row, column] > (0.5 if row == column else 0.6 * worst)
                axes.text(
                    column,
                    row,
                    str(counts[row, column]),
                    ha="center",
                    va="center",
                    color="white" if dark else INK,
                    fontsize=(7 if long_names else 8) if is_card else 10,
                )
    axes.set_xticks(
        range(num), report.classes, rotation=45 if long_names else 0, ha="right" if long_names else "center"
    )
    axes.set_yticks(range(num), report.classes)
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    axes.set_title(_title(report), color=INK)
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_color(PALE)
    return _png(figure, dpi=CARD_DPI if is_card else DPI)


def mistakes_png(report: EvaluationReport, images: NDArray[np.uint8], *, is_card: bool = False) -> bytes:
    """The worst mistakes; `images`, uint8 [N, 28, 28], is the whole test set."""
    mistakes = report.mistakes[:CARD_MISTAKES] if is_card else report.mistakes
    num = len(mistakes)
    rows = max(1, -(-num // MISTAKE_COLUMNS))
    # Lengths in inches, on one pair of axes as large as the figure: 25 pairs take three times as long.
    width, top, gap, edge = CARD_WIDTH if is_card else 7.75, 0.36, 0.44, 0.08
    tile = width / MISTAKE_COLUMNS
    height, side = top + rows * (tile - edge + gap), tile - edge
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    title = f"the {num} worst of {report.total - report.correct} mistakes" if num else "no mistakes"
    axes.text(width / 2, top / 2, title, ha="center", va="center", color=INK, fontsize=12)
    long_names = max(map(len, report.classes)) > 5
    between = "\n" if long_names and is_card else " "
    for number, mistake in enumerate(mistakes):
        row, column = divmod(number, MISTAKE_COLUMNS)
        left, upper = column * tile + edge / 2, top + row * (side + gap) + 0.25
        lower, middle = upper + side, left + side / 2
        axes.imshow(
            images[mistake.index],
            cmap="gray_r",
            vmin=0,
            vmax=255,
            interpolation="nearest",
            aspect="auto",
            extent=(left, left + side, lower, upper),
        )
        axes.add_patch(Rectangle((left, upper), side, side, fill=False, edgecolor=PALE))
        words = f"{mistake.label}{between}\N{RIGHTWARDS ARROW} {mistake.predicted}"
        axes.text(
            middle,
            upper - 0.03,
            words,
            ha="center",
            va="bottom",
            color=RED,
            fontsize=7 if long_names else 10,
            linespacing=1.0,
        )
        words = f"{100 * mistake.probability:.0f}%  #{mistake.index}"
        axes.text(middle, lower + 0.03, words, ha="center", va="top", color=INK, fontsize=8)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return _png(figure, dpi=CARD_DPI if is_card else DPI)


def calibration_png(report: EvaluationReport) -> bytes:
    """Accuracy against confidence in bins, and how many images lie in each."""
    filled = [one for one in report.calibration.bins if one.count]
    confidence = [one.confidence or 0.0 for one in filled]
    accuracy = [one.accuracy or 0.0 for one in filled]
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    curve, shares = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    curve.plot([0, 1], [0, 1], color=PALE, linestyle="--", label="perfectly calibrated")
    curve.plot(confidence, accuracy, color=BLUE, marker="o", label="this network")
    curve.set(xlim=(0, 1.02), ylim=(0, 1.02), ylabel="accuracy")
    curve.set_title(f"expected calibration error {100 * report.calibration.expected_error:.2f}%", color=INK)
    curve.legend(frameon=False, loc="upper left")
    width = 1 / len(report.calibration.bins)
    shares.bar(
        [(one.low + one.high) / 2 for one in filled], [one.count for one in filled], width=0.92 * width, color=BLUE
    )
    shares.set_yscale("log")
    shares.set(xlabel="confidence: probability of the answer", ylabel="images")
    for axes in (curve, shares):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    return _png(figure)


def _title(report: EvaluationReport) -> str:
    return f"{report.dataset}: {report.correct} of {report.total} right ({100 * report.accuracy:.2f}%)"


def _png(figure: Figure, *, dpi: int = DPI) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # Without the version of matplotlib in it: equal figures, equal bytes.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
