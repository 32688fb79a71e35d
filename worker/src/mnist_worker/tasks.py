"""The tasks by name, one a kind of request. Each validates its one argument and calls `execute`."""

from collections.abc import Callable

from celery import Celery

from mnist_shared.contracts.names import checked_run_id
from mnist_shared.contracts.requests import TASK_NAMES


def register(app: Celery, *, execute: Callable[[str], None]) -> None:
    """Give the application its tasks; each calls `execute` with the id of a run: its record says what to do."""

    def run(run_id: str) -> None:
        execute(checked_run_id(run_id))

    for name in TASK_NAMES.values():
        app.task(name=name)(run)
