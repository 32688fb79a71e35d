"""The Celery application, with the settings that the measurements in ARCHITECTURE.md ask for."""

import sys
from collections.abc import Callable

from celery import Celery
from kombu import Exchange, Queue  # type: ignore[attr-defined]

from mnist_shared.contracts.requests import QUEUE
from mnist_shared.storage.connection import SOCKET_TIMEOUT_SECONDS
from mnist_shared.storage.keys import KOMBU_SEPARATOR, PRIORITY_STEPS, Keys


def make_app(
    broker_url: str, *, keys: Keys, on_unusable: Callable[[bytes, str], None], is_ready: Callable[[], bool]
) -> Celery:
    """The application, without tasks (`tasks.register`).

    `on_unusable` gets what is popped and is no message; nothing is popped while `is_ready` says no.
    """
    app = Celery("mnist-worker", broker=broker_url, set_as_current=False)
    app.conf.update(
        # The run record is the truth and the message a wake-up: it is acknowledged before the work, and there is
        # nothing to keep of it afterwards.
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        # One run at a time, in a process of its own; none waits inside a worker while another worker is free.
        # On macOS Metal does not survive a fork.
        worker_pool="solo" if sys.platform == "darwin" else "prefork",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # The pool process loads torch before it says that it is up; Celery's 4 s are too few on a slow disk.
        worker_proc_alive_timeout=300.0,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=False,
        task_queues=[Queue(QUEUE, Exchange(""), routing_key=QUEUE)],  # type: ignore[no-untyped-call]
        task_default_queue=QUEUE,
        broker_transport="mnist_worker.transport:Transport",
        broker_transport_options={
            "on_unusable": on_unusable,
            "is_ready": is_ready,
            "global_keyprefix": keys.prefix,
            # A list a priority, and BRPOP is given them in this order: it takes from the first that has something.
            "priority_steps": list(PRIORITY_STEPS.values()),
            "sep": KOMBU_SEPARATOR,
            "visibility_timeout": 86_400,
            "socket_keepalive": True,
            "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
            "health_check_interval": 10,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broken connection is no reason to stop a run: its lease and its token decide.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=0,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_connection_timeout=SOCKET_TIMEOUT_SECONDS,
    )
    return app
