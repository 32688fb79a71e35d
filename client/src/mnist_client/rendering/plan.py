"""A plan as lines: what would be sent, each value with its source, and what is to be expected."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mnist_client.rendering.wording import duration, queue_place, request_title

if TYPE_CHECKING:
    from mnist_client.planning import Plan

LABEL_WIDTH = 15


def plan_lines(plan: "Plan") -> list[str]:
    """What a human sees; the values as they would be typed."""
    facts = [f"{label:{LABEL_WIDTH}}{text}" for label, text in _facts(plan)]
    rows = [(argument.name.replace("_", "-"), _typed(argument.value), argument.source) for argument in plan.arguments]
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [*facts, "", *(f"{name:{names}}  {value:{values}}  {source}" for name, value, source in rows)]


def _facts(plan: "Plan") -> Iterator[tuple[str, str]]:
    yield "request", request_title(plan.request)
    if plan.reused is not None:
        yield "if needed", f"it is not: run {plan.reused} has succeeded with the same configuration"
    options = plan.options
    if options.name is not None:
        yield "name", options.name
    if options.tags:
        yield "tags", ", ".join(options.tags)
    if options.retries:
        yield "retries", f"{options.retries}, when an attempt fails"
    if plan.then_evaluates:
        yield "then", "an evaluation, as a run of its own"
    yield "device", ", else ".join(plan.devices)
    yield "workers", _workers(plan)
    yield "queue", _queue(plan)
    takes = plan.takes_seconds
    yield "takes", "not known: nothing comparable has run yet" if takes is None else f"about {duration(takes)}"


def _workers(plan: "Plan") -> str:
    if not plan.workers:
        return "none is present: it would wait until one starts"
    named = []
    for worker in plan.workers:
        device = worker.info.device
        named.append(f"{worker.info.name} ({worker.info.state}{f', {device.kind}, {device.name}' if device else ''})")
    return "; ".join(named)


def _queue(plan: "Plan") -> str:
    if plan.position is None:
        words = f"once run {plan.options.after} has succeeded"
    else:
        words = f"{plan.options.priority} priority, {queue_place(plan.position)}"
    if plan.is_paused:
        return f"{words}; the queue is paused"
    starts = plan.starts_in_seconds
    if starts is None:
        return words
    return f"{words}; starts {'at once' if starts < 1 else f'in about {duration(starts)}'}"


def _typed(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
