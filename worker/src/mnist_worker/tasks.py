"""The three tasks by name. Each validates its one argument and calls `execute`."""

from collections.abc import Callable

from celery import Celery

from mnist_shared.contracts.names import checked_run_id
from mnist_shared.contracts.requests import EVALUATE_TASK, RESUME_TASK, TRAIN_TASK


def register(app: Celery, *, execute: Callable[[str], None]) -> None:
    """Give the application its tasks; each calls `execute` with the id of a run."""

    @app.task(name=TRAIN_TASK)  # type: ignore[untyped-decorator]
    def train(run_id: str) -> None:
        execute(checked_run_id(run_id))

    @app.task(name=RESUME_TASK)  # type: ignore[untyped-decorator]
    def resume(run_id: str) -> None:
        execute(checked_run_id(run_id))

    @app.task(name=EVALUATE_TASK)  # type: ignore[untyped-decorator]
    def evaluate(run_id: str) -> None:
        execute(checked_run_id(run_id))
