"""The workers and the queue: is anybody there, of which version, on which device, and may they take runs?"""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence

from mnist_client.context import CommandContext
from mnist_client.diagnosis.finding import Finding, broken, ok, warning
from mnist_client.rendering.wording import num_bytes, plural
from mnist_client.versions import is_other_version, own_version
from mnist_shared.contracts.workers import WorkerInfo
from mnist_shared.errors import ContractError

SCARCE_BYTES = 2_000_000_000  # of a GPU's memory; training takes far less, its libraries about one


def check_workers(context: CommandContext) -> Iterator[Finding]:
    """Presence, versions, devices, and what keeps runs from being begun."""
    try:
        infos = [worker.info for worker in context.registry.present()]
    except ContractError as error:
        yield broken("workers", error.message, error.hint)
        return
    if not infos:
        yield broken("workers", "none is present", _sentence(context.absence() or ""))
    else:
        states = ", ".join(f"{info.name} {info.state}" for info in infos[:6]) + (", ..." if len(infos) > 6 else "")
        yield ok("workers", f"{len(infos)} present: {states}")
        yield _versions(infos)
        yield from _devices(infos)
    drained = context.registry.drained()
    if held := [info.name for info in infos if info.name in drained]:
        some = f"{', '.join(held)}: no more runs for them"
        text = "all are drained: nothing is begun" if len(held) == len(infos) else some
        yield warning("drained", text, f"To take them back: {context.command('workers undrain ' + ' '.join(held))}")
    if lost := context.registry.lost():
        names = ", ".join(f"{worker.info.name} on {worker.info.host}" for worker in lost[:4])
        yield warning("lost", f"vanished in the last 24 hours: {names}", f"See `{context.command('workers')}`.")
    yield from _queue(context)


def _versions(infos: Sequence[WorkerInfo]) -> Finding:
    own = own_version()
    others = [info for info in infos if is_other_version(info.versions, own=own)]
    if others:
        found = ", ".join(f"{info.name} {info.versions.get('mnist-worker', '?')}" for info in others)
        return warning("versions", f"this client is {own}, but {found}", "Install the same version on all of them.")
    torches = sorted({info.versions["torch"] for info in infos if "torch" in info.versions})
    if len(torches) > 1:
        return warning(
            "versions",
            f"{own} everywhere, but the workers' torch differs: {', '.join(torches)}",
            "Install the same: a run that moves from one to another does not keep its bits.",
        )
    return ok(
        "versions", f"{own} here and on {plural(len(infos), 'worker')}" + (f", torch {torches[0]}" if torches else "")
    )


def _devices(infos: Sequence[WorkerInfo]) -> Iterator[Finding]:
    known = [info for info in infos if info.device is not None]
    gpus = [info for info in known if info.device is not None and info.device.kind != "cpu"]
    for info in gpus:
        device = info.device
        assert device is not None
        line = f"{info.name}: {device.kind} {device.name}"
        if device.memory_bytes and info.gpu is not None:
            free = device.memory_bytes - info.gpu.memory_used_bytes
            line += f", {num_bytes(max(free, 0))} of {num_bytes(device.memory_bytes)} free"
            if free < SCARCE_BYTES:
                yield warning("gpu", line, "See with nvidia-smi who else uses it.")
                continue
        yield ok("gpu", line)
    here = [info.name for info in known if info not in gpus and info.host == socket.gethostname()]
    if here and _has_nvidia_gpu():
        hint = "Install a CUDA build of torch for it, and look at its flags."
        yield warning("gpu", f"this machine has an NVIDIA GPU, and {', '.join(here)} does not use it", hint)
    elif not gpus and known:
        yield ok("gpu", "none announced: runs train on the CPU")


def _has_nvidia_gpu() -> bool:
    return os.path.exists("/dev/nvidia0") and shutil.which("nvidia-smi") is not None


def _queue(context: CommandContext) -> Iterator[Finding]:
    view = context.queue.view()
    if view.paused is not None:
        yield warning("queue", "paused: nothing is begun", f"To go on: {context.command('queue resume')}")
    else:
        yield ok("queue", f"{plural(view.waiting, 'run')} waiting, {view.running} running")
    if view.quarantined:
        text = f"{plural(view.quarantined, 'message')} that no worker could take"
        yield warning("quarantine", text, f"See `{context.command('queue')}`: who else writes into this Redis?")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
