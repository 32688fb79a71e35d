"""The worker's main process: Celery around a pool process, and the threads that reap and announce."""

import logging
import os
import platform
import signal
import warnings
from importlib.metadata import version
from typing import Any

from celery import signals
from celery.worker import state

from mnist_shared.errors import BrokerUnreachable, MnistError
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.workers import WorkerRegistry
from mnist_worker.app import make_app
from mnist_worker.presence import Presence
from mnist_worker.reaper import make_pruner, make_reaper
from mnist_worker.station import Pool, Station
from mnist_worker.tasks import register

log = logging.getLogger(__name__)

EXIT_TROUBLE = 1

# Celery warns of what is decided here on purpose: a broken connection does not cancel a run.
NOT_NEWS = (
    "You're running the worker with superuser privileges",
    r"\s*In Celery 5.1 we introduced an optional breaking",
)


def serve_queue(station: Station, pool: Pool, *, keep_days: float) -> int:
    """Serve until told to stop; return the process's exit code. Records are kept for `keep_days`; 0: for ever."""
    _pass_over_known_warnings()
    store = station.store()
    client, keys = store.redis, store.keys
    queue = Queue(client, keys=keys)
    reaper, pruner = make_reaper(store), make_pruner(store, keep_days=keep_days)
    presence = Presence(
        WorkerRegistry(client, keys=keys),
        station,
        versions={name: version(name) for name in ("mnist-worker", "celery")} | {"python": platform.python_version()},
    )

    # Connected strongly: the signals would otherwise forget these functions.
    def on_setup_logging(**_: Any) -> None:
        """Celery leaves logging alone when somebody listens here; of its own lines only the warnings are of use."""
        logging.getLogger("celery").setLevel(max(logging.WARNING, logging.getLogger().level))

    main_process = os.getpid()

    def on_pool_process(**_: Any) -> None:
        try:
            station.start_pool(pool.start)
        except Exception as error:
            # The edge of the process. Celery would go on with a pool that can execute nothing: better an end that the
            # supervisor sees.
            log.error("this worker stops, for it cannot train: %s", error, exc_info=not isinstance(error, MnistError))
            station.failed.set()
            os.kill(main_process, signal.SIGTERM)

    def on_ready(**_: Any) -> None:
        _pass_over_known_warnings()  # once more: Celery has put its own filters before ours
        reaper.start()
        pruner.start()
        presence.start()
        log.info("worker %s is serving the queue", station.name)

    def on_shutting_down(**_: Any) -> None:
        station.drain.set()

    signals.setup_logging.connect(on_setup_logging, weak=False)
    signals.worker_process_init.connect(on_pool_process, weak=False)
    signals.worker_ready.connect(on_ready, weak=False)
    signals.worker_shutting_down.connect(on_shutting_down, weak=False)

    def on_unusable(message: bytes, reason: str) -> None:
        """Called in the main thread, with a message that is popped already: nothing may be raised here."""
        log.warning("put into quarantine from the queue: %s", reason)
        try:
            queue.quarantine(message, reason=reason, worker=station.name)
        except BrokerUnreachable as error:
            log.error("%s This is lost: %r", error.message, message[:200])

    def is_ready() -> bool:
        return station.ready.is_set() and presence.may_take_runs()

    app = make_app(station.broker_url, keys=keys, on_unusable=on_unusable, is_ready=is_ready)
    register(app, execute=pool.execute)
    worker = app.Worker(hostname=f"{station.name}@mnist", without_mingle=True, without_gossip=True, quiet=True)
    worker.start()

    reaper.stop()
    pruner.stop()
    try:
        presence.stop()
    except BrokerUnreachable as error:
        log.warning("%s This worker's announcement will expire by itself.", error.message)
    log.info("worker %s has stopped", station.name)
    if station.failed.is_set():
        return EXIT_TROUBLE
    return 1 if state.should_terminate else 0  # Celery's own code for Ctrl-C is that of a failure


def _pass_over_known_warnings() -> None:
    for message in NOT_NEWS:
        warnings.filterwarnings("ignore", message=message)
