"""The embedded stack, put together: folder, lock, server, workers, and what a user is told about them."""

import os
from dataclasses import replace

from mnist_client.context import CommandContext
from mnist_client.rendering.stack import StackNarrator
from mnist_client.stack.folder import LOOPBACK, Access, StackFolder, free_port
from mnist_client.stack.programs import find_server, find_worker
from mnist_client.stack.server import ServerProcess, frees_port
from mnist_client.stack.supervisor import Supervisor
from mnist_shared.errors import InvalidInput


def run_stack(context: CommandContext, *, num_workers: int, port: int | None) -> None:
    """Run server and workers until told to stop.

    Raises:
        MissingPart: a program that it needs is not installed.
        InvalidInput: another stack runs on the storage folder, or the port is taken.
        VolumeError: the storage folder cannot be written.
        ServerFailed, WorkerFailed: it does not keep running.
    """
    output, settings = context.output, context.settings
    server_binary = find_server()
    worker_command = [find_worker()] if num_workers else []
    if settings.broker_url is not None:
        named = (
            "MNIST_BROKER_URL" if os.environ.get("MNIST_BROKER_URL") else f"`broker` in {context.configuration.path}"
        )
        output.warn(f"`up` starts a broker of its own; {named} is ignored here, but the other commands go by it.")
    if os.environ.get("MNIST_STORAGE_DIR"):  # another terminal may not have it: the commands shown there say it
        context = replace(context, storage=settings.storage_dir)
    folder = StackFolder(settings.storage_dir)
    with folder.locked():
        access = _settled_access(context, folder, port=port)
        names = [f"worker-{number + 1}" for number in range(num_workers)]
        narrator = StackNarrator(output, workers=names, command=context.command, as_json=context.json)

        def publish() -> None:
            folder.publish(access, num_workers=num_workers)
            narrator.say_where(f"{LOOPBACK}:{access.port}", folder=str(folder.storage_dir))

        supervisor = Supervisor(
            ServerProcess(server_binary, folder=folder, access=access),
            worker_command=worker_command,
            names=names,
            environment=_worker_environment(context, access, num_workers=num_workers),
            say=narrator.say,
            pass_on=narrator.pass_on,
            on_ready=narrator.say_ready,
        )
        try:
            supervisor.run(on_server=publish)
        finally:
            folder.withdraw()
        narrator.say("stopped")


def _settled_access(context: CommandContext, folder: StackFolder, *, port: int | None) -> Access:
    access = folder.access()
    if port is not None:
        access = access.model_copy(update={"port": port})
    if not frees_port(access):
        if port is not None:
            raise InvalidInput(f"--port: another program listens on {port}.", hint="Give another port, or none.")
        taken, access = access.port, access.model_copy(update={"port": free_port()})
        context.output.warn(f"another program listens on port {taken}, that of the last time; using {access.port}.")
    folder.keep(access)
    return access


def _worker_environment(context: CommandContext, access: Access, *, num_workers: int) -> dict[str, str]:
    """Where everything is, and a fair share of the cores."""
    settings = context.settings
    environment = {
        **os.environ,
        "MNIST_BROKER_URL": access.url,
        "MNIST_STORAGE_DIR": str(settings.storage_dir),
        "MNIST_DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }
    if num_workers and not environment.get("MNIST_NUM_THREADS"):
        environment["MNIST_NUM_THREADS"] = str(max(1, num_cores() // num_workers))
    return environment


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
