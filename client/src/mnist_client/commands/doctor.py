"""`doctor`: looks at every part of the system, and says of each that it is well, or what to do."""

import json as json_text
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_client import exits, options
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from mnist_client.diagnosis.finding import Finding


def doctor(
    ctx: typer.Context,
    canary: Annotated[
        bool, typer.Option("--canary/--no-canary", help="Send a run of one batch on digits, and time it.")
    ] = True,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long the canary may take to be begun.")
    ] = 30.0,
    json: options.Json = False,
) -> int:
    """Check every part, and send a canary run.

    Broker, workers, versions, GPU, queue, volume, disk, data; then one batch of training, end to end. Each line
    says ok, or what to do. Exits with 0 when nothing is broken, 105 without a broker, 1 otherwise.

    \b
    Example:
      mnist-client doctor
      mnist-client doctor --no-canary --json
    """
    from mnist_client.rendering.diagnosis import finding_lines
    from mnist_client.rendering.wording import plural
    from mnist_shared.errors import InvalidInput

    context = context_of(ctx, json=json)
    if not 0 < timeout <= 3600:
        raise InvalidInput(f"--timeout: {timeout:g} is out of bounds.", hint="Give up to 3600 seconds.")
    found = []
    for finding in _findings(context, canary=canary, timeout=timeout):
        found.append(finding)
        if not context.json:
            context.output.data("\n".join(finding_lines(finding, paper=context.output.paper(sys.stdout))))
    if context.json:
        context.output.data(json_text.dumps([asdict(finding) for finding in found]))
    num_broken = sum(finding.status == "broken" for finding in found)
    num_warnings = sum(finding.status == "warning" for finding in found)
    context.output.talk(f"{num_broken or 'nothing'} broken, {plural(num_warnings, 'warning')}")
    if any(finding.check == "broker" and finding.status == "broken" for finding in found):
        return exits.UNREACHABLE
    return exits.TROUBLE if num_broken else exits.OK


def _findings(context: CommandContext, *, canary: bool, timeout: float) -> "Iterator[Finding]":
    from mnist_client.diagnosis.broker import check_broker, unreachable
    from mnist_client.diagnosis.volume import check_data, check_disk
    from mnist_shared.errors import BrokerUnreachable

    try:
        yield from check_broker(context)
        yield from _with_broker(context, canary=canary, timeout=timeout)
    except BrokerUnreachable as error:
        yield unreachable(error)
    yield check_disk(context)
    yield from check_data(context)


def _with_broker(context: CommandContext, *, canary: bool, timeout: float) -> "Iterator[Finding]":
    from mnist_client.diagnosis.canary import check_canary
    from mnist_client.diagnosis.finding import warning
    from mnist_client.diagnosis.volume import check_sharing
    from mnist_client.diagnosis.workers import check_workers

    yield from check_workers(context)
    why_not = _why_no_canary(context)
    if canary and why_not is None:
        if not context.json:
            context.output.talk("sending a canary run ...")
        has_told = False  # whether the volume is shared
        for finding in check_canary(context, timeout_seconds=timeout):
            has_told = has_told or finding.check == "volume"
            yield finding
        if has_told:
            return
    elif canary:
        yield warning("canary", f"not sent: {why_not}", "See above.")
    yield from check_sharing(context)


def _why_no_canary(context: CommandContext) -> str | None:
    """What would keep it from being begun."""
    names, drained = {worker.info.name for worker in context.registry.present()}, context.registry.drained()
    if not names:
        return "there is no worker"
    if context.queue.view().paused is not None:
        return "the queue is paused"
    return "all workers are drained" if names <= drained else None
