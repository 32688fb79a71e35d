"""What becomes of a run whose work ends in an error, decided by `execute` on a real store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import Finished
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunRecord, RunState, SubmitOptions
from mnist_shared.errors import (
    CheckpointError,
    ContractError,
    InvalidInput,
    NotEnoughEpochs,
    TrainingDiverged,
    VolumeError,
)
from mnist_shared.storage.runs import Grant, RunStore
from mnist_worker.execution import Execution, execute
from mnist_worker.flag import SharedFlag


@pytest.fixture
def archived() -> list[Finished]:
    return []


@pytest.fixture
def fail(store: RunStore, archived: list[Finished]) -> Callable[..., RunRecord]:
    """Execute one attempt of a run with a retry left, whose work raises `error`."""

    def fail(error: Exception, *, cancel: bool = False) -> RunRecord:
        request = TrainRequest(config=TrainConfig(dataset="digits"))
        run_id = store.submit(request, options=SubmitOptions(retries=1)).run_id

        def work(execution: Execution) -> None:
            if cancel:
                store.cancel(run_id)
                execution.reporter.authorize()
            raise error

        execute(
            run_id,
            store=store,
            worker="w",
            drain=SharedFlag(),
            work=work,
            archive=lambda _, last: archived.append(last),
        )
        return store.get(run_id)

    return fail


@pytest.mark.parametrize("error", [VolumeError("The volume is full."), MemoryError(), RuntimeError("CUDA error")])
def test_an_error_that_may_pass_is_tried_again_and_not_archived_yet(
    fail: Callable[..., RunRecord], archived: list[Finished], error: Exception
) -> None:
    record = fail(error)
    assert (record.state, record.failures) == (RunState.QUEUED, 1)
    assert archived == []


@pytest.mark.parametrize("kind", [InvalidInput, NotEnoughEpochs, TrainingDiverged, ContractError, CheckpointError])
def test_an_error_that_would_repeat_ends_the_run(
    fail: Callable[..., RunRecord], archived: list[Finished], kind: type[Exception]
) -> None:
    record = fail(kind("It will not do."))
    assert (record.state, record.failures) == (RunState.FAILED, 0)
    assert [last.error for last in archived] == [record.error]


def test_a_run_that_was_to_be_cancelled_is_not_tried_again(
    fail: Callable[..., RunRecord], archived: list[Finished]
) -> None:
    assert fail(VolumeError("The volume is full."), cancel=True).state is RunState.FAILED
    assert len(archived) == 1


def test_the_log_is_kept_for_as_long_as_the_run_is_the_workers(store: RunStore) -> None:
    run_id = store.submit(TrainRequest(config=TrainConfig(dataset="digits")), options=SubmitOptions(name="me")).run_id
    states: list[tuple[RunState, str | None]] = []

    @contextmanager
    def keep_log(grant: Grant) -> Iterator[None]:
        states.append((store.get(run_id).state, grant.options.name))
        yield
        states.append((store.get(run_id).state, grant.options.name))

    execute(run_id, store=store, worker="w", drain=SharedFlag(), work=lambda _: None, keep_log=keep_log)
    assert states == [(RunState.RUNNING, "me"), (RunState.QUEUED, "me")]
