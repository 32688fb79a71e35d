"""The queues that ours is compared with, each with a task that does nothing.

Redis is reached by redis-py on every side. The task pushes to a list on which the client waits (BLPOP): no result
backend is as fast. Nothing is imported before a peer is chosen; they may be installed in an environment of their own.
"""

import functools
import threading
import uuid
from collections.abc import Callable
from typing import Any

WAIT_SECONDS = 60


@functools.cache
def connection(url: str) -> Any:
    """This process's own; redis-py opens a new one after a fork."""
    import redis

    return redis.Redis.from_url(url, socket_timeout=WAIT_SECONDS + 5)


def nothing(url: str, key: str) -> None:
    """The peers' task: say that it was done."""
    connection(url).lpush(key, "1")


class Peer:
    """A peer's client: `send(url, key)` submits `nothing`."""

    def __init__(self, url: str, send: Callable[[str, str], object]) -> None:
        self.url, self.send = url, send

    def submit(self) -> str:
        key = f"done:{uuid.uuid4().hex}"
        self.send(self.url, key)
        return key

    def wait(self, known_by: str) -> None:
        if connection(self.url).blpop(known_by, timeout=WAIT_SECONDS) is None:
            raise TimeoutError(f"no answer within {WAIT_SECONDS} s")


def celery_app(url: str) -> tuple[Any, Any]:
    """Celery as it comes, with a prefork pool of one, early acknowledgement and no result backend."""
    import celery

    app = celery.Celery("peer", broker=url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        worker_pool="prefork",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )
    return app, app.task(name="nothing")(nothing)


def celery_client(url: str) -> Peer:
    return Peer(url, celery_app(url)[1].delay)


def serve_celery(url: str) -> None:
    app, _ = celery_app(url)
    app.Worker(hostname="peer@bench", without_mingle=True, without_gossip=True, quiet=True).start()


def rq_client(url: str) -> Peer:
    """RQ as it comes: a job's record and result stay in Redis for 500 s after it."""
    import rq

    return Peer(url, functools.partial(rq.Queue(connection=connection(url)).enqueue, nothing))


def serve_rq(url: str) -> None:
    """RQ's own worker, which forks for each job."""
    import rq

    rq.Worker(["default"], connection=connection(url)).work(logging_level="WARNING")


def serve_rq_without_fork(url: str) -> None:
    import rq

    rq.SimpleWorker(["default"], connection=connection(url)).work(logging_level="WARNING")


def dramatiq_actor(url: str) -> tuple[Any, Any]:
    """dramatiq as it comes, with the middleware that it has by default."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=url)
    return broker, dramatiq.actor(nothing, broker=broker)


def dramatiq_client(url: str) -> Peer:
    return Peer(url, dramatiq_actor(url)[1].send)


def serve_dramatiq(url: str) -> None:
    """One process with one thread."""
    import dramatiq

    broker, _ = dramatiq_actor(url)
    dramatiq.Worker(broker, worker_threads=1).start()
    threading.Event().wait()


CLIENTS: dict[str, Callable[[str], Peer]] = {
    "celery": celery_client,
    "rq": rq_client,
    "rq-without-fork": rq_client,
    "dramatiq": dramatiq_client,
}
WORKERS: dict[str, Callable[[str], None]] = {
    "celery": serve_celery,
    "rq": serve_rq,
    "rq-without-fork": serve_rq_without_fork,
    "dramatiq": serve_dramatiq,
}
