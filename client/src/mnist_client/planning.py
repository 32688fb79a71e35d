"""`--plan`: what would be sent, where each value comes from, and what is to be expected of it. Sends nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnist_client import exits
from mnist_client.context import CommandContext
from mnist_client.estimates import PRIORITIES, device_kinds, load_outlook
from mnist_client.evaluating import configuration_of
from mnist_client.submission import Wishes, find_finished, submit_options
from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.contracts.requests import OnTarget, Request, ResumeRequest
from mnist_shared.contracts.runs import Priority, RunRecord, RunState, SubmitOptions
from mnist_shared.errors import InvalidInput
from mnist_shared.storage.queue import QueueView
from mnist_shared.storage.workers import PresentWorker

PLANNED = "0" * 12  # stands in for the id that it does not have


@dataclass(frozen=True)
class Argument:
    """One value of the configuration, and who has set it."""

    name: str
    value: Any
    source: str  # "flag", "configuration file", "preset fast", "default", "run 3f2a..."


def arguments_of(request: Request, *, flags: Mapping[str, object], file: Mapping[str, object]) -> list[Argument]:
    """The request's configuration, each value with its source."""
    config = request.config
    preset, inherited_from = PRESETS[config.preset], ""
    if isinstance(request, ResumeRequest):
        inherited_from = request.parent
    elif isinstance(request, OnTarget) and request.target is not None:
        inherited_from = request.target

    def source(name: str) -> str:
        if name in flags:
            return "flag"
        if inherited_from:
            return f"run {inherited_from}"
        if name in file:
            return "configuration file"
        value = getattr(config, name)
        is_of_preset = value == getattr(preset, name) and value != TrainConfig.model_fields[name].default
        return f"preset {config.preset}" if is_of_preset else "default"

    return [Argument(name, value, source(name)) for name, value in configuration_of(request).items()]


@dataclass(frozen=True)
class Plan:
    """All that `--plan` shows."""

    request: Request
    arguments: Sequence[Argument]
    options: SubmitOptions
    devices: tuple[str, ...]  # in the order of preference
    workers: Sequence[PresentWorker]
    then_evaluates: bool
    reused: str | None  # the finished run that --if-needed would take
    position: int | None  # None: it would not be queued at once
    is_paused: bool  # the queue: nothing starts
    starts_in_seconds: float | None
    takes_seconds: float | None


def print_plan(context: CommandContext, request: Request, wishes: Wishes, arguments: Sequence[Argument]) -> int:
    """Show the plan; the exit code."""
    plan = make_plan(context, request, wishes, arguments)
    if context.json:
        context.output.data(json.dumps(_document(plan)))
    else:
        from mnist_client.rendering.plan import plan_lines

        context.output.data("\n".join(plan_lines(plan)))
        context.output.talk("This is a plan: nothing was sent.")
    return exits.OK


def make_plan(context: CommandContext, request: Request, wishes: Wishes, arguments: Sequence[Argument]) -> Plan:
    """What would come of it, asked of the broker.

    Raises:
        InvalidInput, RunNotFound: as the submission would.
    """
    store = context.store
    options = submit_options(store, request, wishes)
    _check_would_be_taken(context, options)
    reused = find_finished(store, options) if wishes.if_needed else None
    workers, now = context.registry.present(), context.now()
    parent = store.get(options.after) if options.after is not None else None
    origin = store.get(request.parent).checkpoint if isinstance(request, ResumeRequest) else None
    planned = RunRecord(
        id=PLANNED,
        request=request,
        state=RunState.QUEUED,
        submitted_at=now,
        attempt=0,
        attempts_without_checkpoint=0,
        options=options,
        waits_for=parent.id if parent is not None and not parent.state.is_final else None,
    )
    view = context.queue.view()
    outlook = load_outlook(store, devices=device_kinds(workers), now=now, planned=planned)
    return Plan(
        request=request,
        arguments=arguments,
        options=options,
        devices=wished_devices(request.config),
        workers=workers,
        then_evaluates=wishes.then_evaluate,
        reused=reused.run_id if reused is not None else None,
        position=None if planned.waits_for is not None else _position(view, options.priority),
        is_paused=view.paused is not None,
        starts_in_seconds=None if view.paused else outlook.starts.get(PLANNED),
        takes_seconds=outlook.paces.run_seconds(request, finished_epochs=origin.epoch if origin is not None else 0),
    )


def wished_devices(config: TrainConfig) -> tuple[str, ...]:
    """The devices that a worker will look for, in that order."""
    unwanted = {"cuda": config.no_cuda, "mps": config.no_mps, "cpu": False}
    return tuple(device for device, is_unwanted in unwanted.items() if not is_unwanted)


def _position(view: QueueView, priority: Priority) -> int:
    classes = PRIORITIES[: PRIORITIES.index(priority) + 1]
    return sum(number for each, number in view.by_priority.items() if each in classes)


def _check_would_be_taken(context: CommandContext, options: SubmitOptions) -> None:
    """What the submission itself would find out."""
    store = context.store
    if options.name is not None and (known := store.names(f"{options.name.lower()}:", limit=1)):
        raise InvalidInput(f"Run {known[0][1]} is called {options.name!r} already.", hint="Give another name, or none.")
    if options.after is not None and (state := store.get(options.after).state) in (RunState.FAILED, RunState.CANCELLED):
        raise InvalidInput(
            f"Run {options.after} has ended as {state}, so nothing can come after it.", hint="Leave --after out."
        )


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "kind": plan.request.kind,
        "request": plan.request.model_dump(mode="json"),
        "arguments": [asdict(argument) for argument in plan.arguments],
        "options": plan.options.model_dump(mode="json"),
        "devices": list(plan.devices),
        "workers": [worker.info.model_dump(mode="json") for worker in plan.workers],
        "then": "evaluate" if plan.then_evaluates else None,
        "reused": plan.reused,
        "position": plan.position,
        "paused": plan.is_paused,
        "starts_in_seconds": plan.starts_in_seconds,
        "takes_seconds": plan.takes_seconds,
    }
