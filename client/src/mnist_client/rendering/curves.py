"""Curves in a terminal: a round scale, a mark at each epoch where there is room, a legend that needs no colours."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_client.curves import FALLING, METRICS, Curve
from mnist_client.rendering.canvas import Canvas
from mnist_client.rendering.output import Paper
from mnist_client.rendering.palette import ACTIVE, BAD, GOOD, NOTICE
from mnist_client.rendering.scale import Scale, fit, round_step
from mnist_client.rendering.table import shortened
from mnist_client.rendering.wording import percent

COLOURS = (ACTIVE, NOTICE, GOOD, BAD)
MARKS, ASCII_MARKS = "●▲■◆○△□◇", "*+ox#@%&"
MIN_COLUMNS, MIN_ROWS = 16, 6  # of the grid
MAX_COLUMNS = 120
ROWS_A_STEP = 2
COLUMNS_A_MARK = 3  # with less room between two epochs, only some of them are marked
COLUMNS_BETWEEN = 10  # then


@dataclass(frozen=True)
class Frame:
    """The characters of the axes."""

    up: str
    tick: str
    corner: str
    along: str
    notch: str


FRAME, ASCII_FRAME = Frame("│", "┤", "└", "─", "┬"), Frame("|", "+", "+", "-", "+")


def chart_lines(curves: Sequence[Curve], *, metric: str, height: int, paper: Paper) -> list[str]:
    """A chart of `height` lines, with its legend under it. At least one curve has a point."""
    points = [curve.shown_points(metric) for curve in curves]
    rows = max(MIN_ROWS, height)
    scale = fit([value for one in points for _, value in one], num_steps=rows // ROWS_A_STEP)
    labels = {_row(scale, tick, rows): scale.label(tick) for tick in scale.ticks}
    margin = max(map(len, labels.values())) + 1
    columns = max(MIN_COLUMNS, min(MAX_COLUMNS, (paper.width or 80) - margin - 2))
    epochs = [epoch for one in points for epoch, _ in one]
    first, last = min(epochs), max(epochs)
    canvas = Canvas(columns, rows, is_unicode=paper.is_unicode)
    marks = MARKS if paper.is_unicode else ASCII_MARKS
    for owner, one in enumerate(points):
        _draw(canvas, one, owner=owner, mark=marks[owner % len(marks)], first=first, last=last, scale=scale)

    frame = FRAME if paper.is_unicode else ASCII_FRAME
    unit = " in %" if metric.endswith("accuracy") else ""
    lines = [paper.paint(f"{' ' * (margin + 1)}{METRICS[metric]}{unit} by epoch", bold=True)]
    for row in range(rows):
        axis = frame.tick if row in labels else frame.up
        drawn = "".join(paper.paint(text, fg=_colour(owner)) for text, owner in canvas.runs(row))
        lines.append(f"{labels.get(row, ''):>{margin - 1}} {axis}{drawn}".rstrip())
    lines += _epoch_axis(first, last, columns=columns, margin=margin, frame=frame)
    for owner, (curve, one) in enumerate(zip(curves, points, strict=True)):
        mark = paper.paint(marks[owner % len(marks)], fg=_colour(owner))
        lines.append(f"{' ' * margin} {mark} {_legend(curve, one, metric=metric, paper=paper, indent=margin + 3)}")
    return lines


def _draw(
    canvas: Canvas,
    points: list[tuple[int, float]],
    *,
    owner: int,
    mark: str,
    first: int,
    last: int,
    scale: Scale,
) -> None:
    span = max(last - first, 1)
    places = [
        (
            (epoch - first) / span * (canvas.width - 1) if last > first else (canvas.width - 1) / 2,
            (1 - scale.share(value)) * (canvas.height - 1),
        )
        for epoch, value in points
    ]
    for start, end in itertools.pairwise(places):
        canvas.line(start, end, owner=owner)
    every = 1 if canvas.columns / span >= COLUMNS_A_MARK else math.ceil(COLUMNS_BETWEEN * span / canvas.columns)
    for number, ((epoch, _), place) in enumerate(zip(points, places, strict=True)):
        if epoch % every == 0 or number == len(places) - 1:
            canvas.mark(place, mark, owner=owner)


def _epoch_axis(first: int, last: int, *, columns: int, margin: int, frame: Frame) -> list[str]:
    """The line below, and as many epochs under it as there is room for: the first and the last before all others."""
    line, texts = [frame.along] * columns, [" "] * columns
    step = round(round_step((last - first) * (len(str(last)) + 3) / columns or 1, whole=True))
    for epoch in (first, last, *range(first - first % step, last, step)):
        if epoch < first:
            continue
        column = round((epoch - first) / (last - first) * (columns - 1)) if last > first else (columns - 1) // 2
        text = str(epoch)
        start = max(0, min(column - (len(text) - 1) // 2, columns - len(text)))
        if "".join(texts[max(start - 1, 0) : start + len(text) + 1]).strip():
            continue
        line[column] = frame.notch
        texts[start : start + len(text)] = text
    return [" " * margin + frame.corner + "".join(line), " " * (margin + 1) + "".join(texts).rstrip()]


def _row(scale: Scale, value: float, rows: int) -> int:
    return round((1 - scale.share(value)) * (rows - 1))


def _colour(owner: int | None) -> str | None:
    return None if owner is None else COLOURS[owner % len(COLOURS)]


def _legend(curve: Curve, points: list[tuple[int, float]], *, metric: str, paper: Paper, indent: int) -> str:
    """The run's name, its best and its last value, and where it came from."""
    parts = [curve.label]
    if points:
        if metric.endswith("accuracy") or metric in FALLING:
            best = (min if metric in FALLING else max)(points, key=lambda point: point[1])
            parts.append(f"best {value_words(best[1], metric=metric)} at epoch {best[0]}")
        parts.append(f"last {value_words(points[-1][1], metric=metric)}")
        if curve.inherited:
            parts.append(f"goes on after epoch {curve.epochs[curve.inherited - 1].epoch}")
    else:
        parts.append("no such value yet")
    text = "  ".join(parts)
    return text if paper.width is None else shortened(text, max(paper.width - indent, 8), ellipsis=paper.ellipsis)


def value_words(value: float, *, metric: str) -> str:
    """A value of the metric, as it is written elsewhere."""
    if metric.endswith("accuracy"):
        return percent(value / 100)
    if metric == "images-per-second":
        return f"{value:,.0f}"
    return f"{value:.4f}" if metric.endswith("loss") else f"{value:.3g}"
