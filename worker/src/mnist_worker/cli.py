"""`mnist-worker`: start a worker and serve the queue until told to stop."""

import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from mnist_shared.contracts.names import checked_worker_name
from mnist_shared.errors import BrokerRefused, BrokerUnreachable, MissingPart, MnistError
from mnist_shared.settings import Settings, without_secrets
from mnist_shared.storage.connection import broker_errors, connect
from mnist_worker.choices import read_choice
from mnist_worker.gpu_claim import POLICIES, POLICY_VARIABLE, Claim, Policy, claim_gpu, list_gpus, show_only
from mnist_worker.heartbeat import Heartbeat
from mnist_worker.logs import FORMAT_VARIABLE, LEVEL_VARIABLE, LEVELS, LOG_FORMATS, set_up_logging

log = logging.getLogger(__name__)

EXIT_USAGE = 2
EXIT_UNREACHABLE = 105
RETRY_SECONDS = 2.0

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def serve(
    broker: Annotated[
        str | None, typer.Option(help="Broker URL; else MNIST_BROKER_URL (keeps a password off the argument list).")
    ] = None,
    storage: Annotated[
        Path | None, typer.Option(help="The shared volume; else MNIST_STORAGE_DIR, else ~/.mnist-queue.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(envvar="MNIST_WORKER_NAME", help="This worker's name; else host and a random end.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, envvar="MNIST_NUM_THREADS", help="CPU threads; else all cores there are.")
    ] = None,
    no_cuda: Annotated[bool, typer.Option("--no-cuda", help="Never use an NVIDIA GPU.")] = False,
    no_mps: Annotated[bool, typer.Option("--no-mps", help="Never use an Apple GPU.")] = False,
    keep_days: Annotated[
        float,
        typer.Option(
            min=0, envvar="MNIST_KEEP_DAYS", help="Days after which ended runs leave `status`; 0: never. Files stay."
        ),
    ] = 90,
    gpu_policy: Annotated[
        str, typer.Option(envvar="MNIST_GPU_POLICY", help="When all GPUs are other workers': share, wait or cpu.")
    ] = "share",
    log_level: Annotated[str, typer.Option(envvar="MNIST_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(envvar="MNIST_LOG_FORMAT", help="text or json.")] = "text",
) -> None:
    """Serve the queue: execute one run after the other. SIGTERM or Ctrl-C hands the present run back and stops.

    Example: MNIST_BROKER_URL=redis://:password@10.0.0.5:6379/0 mnist-worker --storage /mnt/mnist
    """
    worker_name = checked_worker_name(name or f"{socket.gethostname().partition('.')[0][:50]}-{secrets.token_hex(2)}")
    set_up_logging(
        level=read_choice(log_level, LEVELS, setting=LEVEL_VARIABLE),
        log_format=read_choice(log_format, LOG_FORMATS, setting=FORMAT_VARIABLE),
        worker=worker_name,
    )
    policy = read_choice(gpu_policy, POLICIES, setting=POLICY_VARIABLE)
    settings = Settings.from_environment(broker=broker, storage=storage)
    if settings.broker_url is None:
        raise BrokerUnreachable(
            "No broker is configured.", hint="Set MNIST_BROKER_URL, or start all with `mnist-client up`."
        )
    for part in ("torch", "torchvision"):
        if importlib.util.find_spec(part) is None:
            raise MissingPart(f"{part} is not installed.", hint="Install it with: pip install 'mnist-shared[train]'")
    heartbeat = Heartbeat.from_environment()
    _wait_for_broker(settings.broker_url, heartbeat)
    # Kept until this process ends, and with it the GPU.
    claim = None if no_cuda else _claim_gpu(settings, policy, worker_name, heartbeat)

    from mnist_worker.pool import TrainingPool
    from mnist_worker.server import serve_queue
    from mnist_worker.station import Station

    station = Station(name=worker_name, broker_url=settings.broker_url, lease_seconds=settings.lease_seconds)
    pool = TrainingPool(
        station,
        settings=settings,
        num_threads=threads,
        no_cuda=no_cuda,
        no_mps=no_mps,
        gpu_uuid=claim.gpu.uuid if claim else None,
    )
    raise typer.Exit(serve_queue(station, pool, keep_days=keep_days))


def _claim_gpu(settings: Settings, policy: Policy, worker: str, heartbeat: Heartbeat) -> Claim | None:
    """A GPU of this worker's own, before any torch starts; None where there is none to be had."""
    gpus = list_gpus(visible=os.environ.get("CUDA_VISIBLE_DEVICES"))
    if not gpus:
        return None
    claim = claim_gpu(
        settings.storage_dir / "gpus", gpus, policy=policy, worker=worker, on_wait=lambda: heartbeat.beat("starting")
    )
    show_only(claim)
    if claim is None:
        log.warning("all %d GPUs are taken by other workers; this one uses the CPU", len(gpus))
    else:
        shared = f", shared with {claim.sharers_before} more" if claim.sharers_before else ""
        log.info("GPU %s (%s)%s", claim.gpu.uuid, claim.gpu.name, shared)
    return claim


def _wait_for_broker(url: str, heartbeat: Heartbeat) -> None:
    """Wait until the broker answers: under Compose or systemd a worker may well be the first to be up.

    Raises:
        BrokerRefused: it answers, and will not have us; waiting does not help.
    """
    client = connect(url, retries=0)
    told = False
    while True:
        heartbeat.beat("starting")
        try:
            with broker_errors(client):
                client.ping()
            break
        except BrokerRefused:
            raise
        except BrokerUnreachable as error:
            if not told:
                log.warning("%s Waiting for it.", error.message)
            told = True
            time.sleep(RETRY_SECONDS)
    client.close()
    log.info("broker %s", without_secrets(url))


def main() -> None:
    """The console script: one line for what a user can cause, and the exit codes of the client."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until Celery installs its own
    try:
        app()
    except MnistError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_UNREACHABLE if isinstance(error, BrokerUnreachable) else EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(0)
