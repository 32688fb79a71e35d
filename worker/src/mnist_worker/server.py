"""The worker's main process: Celery around a pool process, and the threads that reap and announce."""

import logging
import platform
from importlib.metadata import version
from typing import Any

from celery import signals

from mnist_shared.errors import BrokerUnreachable
from mnist_shared.settings import Settings
from mnist_shared.storage.connection import connect
from mnist_shared.storage.keys import Keys
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from mnist_worker.app import make_app
from mnist_worker.drain import DrainFlag
from mnist_worker.pool import PoolProcess
from mnist_worker.presence import Presence
from mnist_worker.reaper import make_reaper
from mnist_worker.reports import ReportPipe
from mnist_worker.tasks import register

log = logging.getLogger(__name__)


def serve_queue(
    settings: Settings,
    *,
    broker_url: str,
    name: str,
    num_threads: int | None,
    no_cuda: bool,
    no_mps: bool,
    log_level: str,
) -> int:
    """Serve until told to stop; return the process's exit code."""
    keys = Keys()
    drain, reports = DrainFlag(), ReportPipe()
    pool = PoolProcess(
        settings=settings,
        broker_url=broker_url,
        keys=keys,
        worker=name,
        drain=drain,
        reports=reports,
        num_threads=num_threads,
        no_cuda=no_cuda,
        no_mps=no_mps,
    )
    client = connect(broker_url)
    versions = {
        "mnist-worker": version("mnist-worker"),
        "celery": version("celery"),
        "python": platform.python_version(),
    }
    presence = Presence(WorkerRegistry(client, keys=keys), name=name, reports=reports, drain=drain, versions=versions)
    reaper = make_reaper(RunStore(client, keys=keys))

    # Connected strongly: the signals would otherwise forget these functions.
    def on_setup_logging(**_: Any) -> None:
        logging.getLogger("celery").setLevel(max(logging.WARNING, logging.getLogger().level))

    def on_pool_process(**_: Any) -> None:
        pool.start()

    def on_ready(**_: Any) -> None:
        reaper.start()
        presence.start()
        log.info("worker %s is serving the queue", name)

    def on_shutting_down(**_: Any) -> None:
        drain.set()

    signals.setup_logging.connect(on_setup_logging, weak=False)
    signals.worker_process_init.connect(on_pool_process, weak=False)
    signals.worker_ready.connect(on_ready, weak=False)
    signals.worker_shutting_down.connect(on_shutting_down, weak=False)

    app = make_app(broker_url, keys=keys)
    register(app, execute=pool.execute)
    worker = app.Worker(
        hostname=f"{name}@mnist", loglevel=log_level, without_mingle=True, without_gossip=True, quiet=True
    )
    worker.start()

    reaper.stop()
    try:
        presence.stop()
    except BrokerUnreachable as error:
        log.warning("%s This worker's announcement will expire by itself.", error.message)
    log.info("worker %s has stopped", name)
    return int(worker.exitcode or 0)
