"""The epochs that a resumed run begins with: those of the runs before it."""

from typing import TYPE_CHECKING

from mnist_client.curves import Curve, read_curve
from mnist_client.rendering.follow import Inheritance
from mnist_shared.contracts.requests import ResumeRequest
from mnist_shared.errors import ContractError, RunNotFound

if TYPE_CHECKING:
    from mnist_client.context import CommandContext
    from mnist_shared.contracts.runs import RunRecord


def inheritance_of(context: "CommandContext", record: "RunRecord") -> Inheritance | None:
    """What was trained before `record` began, or will begin; None when it starts from scratch."""
    if not isinstance(record.request, ResumeRequest):
        return None
    parent_id = record.request.parent
    try:
        parent = context.store.get(parent_id)
    except (RunNotFound, ContractError):
        return Inheritance(f"run {parent_id}", ())
    curve = read_curve(context, record)
    epochs = curve.epochs[: curve.inherited]
    if curve.history.training is None:
        finished = parent.checkpoint.epoch if parent.checkpoint is not None else 0
        before: Curve = read_curve(context, parent)
        epochs = tuple(metrics for metrics in before.epochs if metrics.epoch <= finished)
    name = f"{parent.options.name} ({parent_id})" if parent.options.name else f"run {parent_id}"
    return Inheritance(name, epochs)
