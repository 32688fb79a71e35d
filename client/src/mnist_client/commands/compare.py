"""`compare`: runs side by side."""

import json as json_text
import sys
from typing import TYPE_CHECKING, Any

import typer

from mnist_client import exits, options
from mnist_client.context import context_of

if TYPE_CHECKING:
    from mnist_client.comparison import Comparison, Fact


def compare(ctx: typer.Context, runs: options.Runs, json: options.Json = False) -> int:
    """Compare runs side by side.

    Two or more: configuration, environment, result, and epoch by epoch. Of configuration and environment only what
    differs is shown. The best is marked with a star; a resumed run's epochs
    begin with those of the run it goes on from.

    \b
    Example:
      mnist-client compare last last~1
      mnist-client compare brisk-otter calm-fox fast-heron --json
    """
    from mnist_client.comparison import compare_runs
    from mnist_client.curves import read_curve
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    run_ids = list(dict.fromkeys(context.store.resolve(name) for name in runs))
    if len(run_ids) < 2:
        raise InvalidInput("It takes two different runs to compare.", hint="Such as: mnist-client compare last last~1")
    comparison = compare_runs([read_curve(context, context.store.get(run_id)) for run_id in run_ids])
    if context.json:
        context.output.data(json_text.dumps(_document(comparison)))
        return exits.OK
    from mnist_client.rendering.comparison import comparison_lines

    context.output.data("\n".join(comparison_lines(comparison, paper=context.output.paper(sys.stdout))))
    if comparison.same_weights:
        context.output.talk("the same weights, bit for bit")
    return exits.OK


def _document(comparison: "Comparison") -> dict[str, Any]:
    ids = [curve.record.id for curve in comparison.curves]

    def by_run(fact: "Fact") -> dict[str, Any]:
        return dict(zip(ids, fact.values, strict=True))

    return {
        "runs": [
            {
                "id": curve.record.id,
                "name": curve.record.options.name,
                "kind": curve.record.request.kind,
                "state": str(curve.record.state),
                "num_inherited": curve.inherited,
                "best_epoch": curve.best.epoch if curve.best else None,
                "epochs": [metrics.model_dump(mode="json", exclude={"schema_version"}) for metrics in curve.epochs],
            }
            for curve in comparison.curves
        ],
        "configuration": {fact.name: by_run(fact) for fact in comparison.configuration if fact.differs},
        "environment": {fact.name: by_run(fact) for fact in comparison.environment if fact.differs},
        "result": {fact.name: by_run(fact) for fact in comparison.outcome},
        "same_weights": comparison.same_weights,
    }
