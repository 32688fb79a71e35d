"""Curves as a PNG, with matplotlib: an extra, loaded only here."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_client.curves import METRICS, Curve
from mnist_client.rendering.curves import value_words
from mnist_shared.errors import MissingPart
from mnist_shared.volume.files import volume_errors

INCHES, DPI = (9.0, 5.4), 160
# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/): told apart by all eyes; without the yellow, pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKS = "o^sDvP"
INK, PALE = "#333333", "#dddddd"
DASHES, FADED = (0, (2, 1.5)), 0.55
MOST_MARKED = 40  # epochs; of more, single marks would run into each other


def write_png(path: Path, curves: Sequence[Curve], *, metric: str) -> None:
    """Draw the curves into `path`, whole or not at all. What a run goes on from is dashed.

    Raises:
        MissingPart: matplotlib is not installed.
        VolumeError: the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise MissingPart(
            "matplotlib is not installed, and --png needs it.", hint="Install it with: pip install 'mnist-client[plot]'"
        ) from error
    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for number, curve in enumerate(curves):
        _draw(axes, curve, metric=metric, colour=COLOURS[number % len(COLOURS)], mark=MARKS[number % len(MARKS)])
    if any(curve.inherited for curve in curves):
        axes.plot([], [], label="of the run before it", color=INK, linewidth=2.0, linestyle=DASHES, alpha=FADED)
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(METRICS[metric] + (", %" if metric.endswith("accuracy") else ""), color=INK)
    axes.set_title(_title(curves, metric=metric), loc="left", color=INK, fontweight="bold", fontsize=13, pad=12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.03, y=0.08)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9.5, handlelength=2.4)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with volume_errors(path.parent):
        try:
            figure.savefig(temporary, format="png")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _draw(axes: Any, curve: Curve, *, metric: str, colour: str, mark: str) -> None:
    points = curve.shown_points(metric)
    split = sum(epoch <= curve.epochs[curve.inherited - 1].epoch for epoch, _ in points) if curve.inherited else 0
    own, before = points[max(split - 1, 0) :], points[:split]
    size = 5.0 if len(points) <= MOST_MARKED else 0.0
    style = {"color": colour, "linewidth": 2.0, "marker": mark, "markersize": size, "markeredgecolor": "white"}
    axes.plot([], [], label=_label(curve, points, metric=metric), **style)
    if before:
        axes.plot(*zip(*before, strict=True), **style | {"linestyle": DASHES, "alpha": FADED})
    if own:
        axes.plot(*zip(*own, strict=True), **style)


def _label(curve: Curve, points: list[tuple[int, float]], *, metric: str) -> str:
    name = curve.label.lstrip("_")  # matplotlib leaves out of the legend what begins so
    last = f", {value_words(points[-1][1], metric=metric)} after epoch {points[-1][0]}" if points else ""
    return f"{name}{last}"


def _title(curves: Sequence[Curve], *, metric: str) -> str:
    data = ", ".join(dict.fromkeys(curve.record.request.config.dataset for curve in curves))
    return f"{METRICS[metric][:1].upper()}{METRICS[metric][1:]} on {data}"
