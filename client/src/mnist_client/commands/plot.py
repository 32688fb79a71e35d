"""`plot`: curves over the epochs, in the terminal or as a picture."""

import json as json_text
import sys
from pathlib import Path
from typing import Annotated

import typer

from mnist_client import exits, options
from mnist_client.completion import one_of
from mnist_client.context import context_of

METRIC_NAMES = (
    "test-accuracy",
    "test-loss",
    "train-loss",
    "validation-accuracy",
    "validation-loss",
    "lr",
    "images-per-second",
)
USUAL_ROWS, MOST_ROWS = 16, 24
ROWS_AROUND = 5  # the title, the axis, the prompt


def plot(
    ctx: typer.Context,
    runs: options.Runs,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help=f"{', '.join(METRIC_NAMES)}.",
            show_default=True,
            autocompletion=one_of(*METRIC_NAMES),
        ),
    ] = "test-accuracy",
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw a picture instead; needs mnist-client[plot].")
    ] = None,
    json: options.Json = False,
) -> int:
    """Plot runs over the epochs, here or as a PNG.

    A resumed run's curve begins with that of the run it goes on from.

    \b
    Example:
      mnist-client plot last
      mnist-client plot brisk-otter calm-fox --metric test-loss
      mnist-client plot last last~1 --png curves.png
    """
    from mnist_client.curves import METRICS, read_curve
    from mnist_client.rendering.output import height_of
    from mnist_shared.errors import InvalidInput, RunNotFinished

    context = context_of(ctx, json=json)
    metric = metric.strip().lower().replace("_", "-")
    if metric not in METRICS:
        raise InvalidInput(f"--metric: {metric!r:.40} is none.", hint=f"Give one of {', '.join(METRICS)}.")
    run_ids = list(dict.fromkeys(context.store.resolve(name) for name in runs))
    curves = [read_curve(context, context.store.get(run_id)) for run_id in run_ids]
    if not any(curve.points(metric) for curve in curves):
        which = f"Run {curves[0].label} has" if len(curves) == 1 else "None of these runs has"
        raise RunNotFinished(
            f"{which} told no {METRICS[metric]} yet.",
            hint="That takes a training run and its first finished epoch"
            + (", and --validation-size." if metric.startswith("validation") else "."),
        )
    if png is not None:
        from mnist_client.rendering.figure import write_png

        write_png(png, curves, metric=metric)
        context.output.data(json_text.dumps({"path": str(png)}) if context.json else str(png))
        return exits.OK
    if context.json:
        rows = [
            {
                "id": curve.record.id,
                "name": curve.record.options.name,
                "metric": metric,
                "num_inherited": curve.inherited,
                "points": curve.points(metric),
            }
            for curve in curves
        ]
        context.output.data(json_text.dumps(rows))
        return exits.OK
    from mnist_client.rendering.curves import chart_lines

    height = height_of(sys.stdout)
    rows_left = USUAL_ROWS if height is None else min(MOST_ROWS, height - ROWS_AROUND - len(curves))
    paper = context.output.paper(sys.stdout)
    context.output.data("\n".join(chart_lines(curves, metric=metric, height=rows_left, paper=paper)))
    return exits.OK
