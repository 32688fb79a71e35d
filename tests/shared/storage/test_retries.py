"""Failed attempts that are repeated."""

from mnist_shared.contracts.events import AttemptFailed
from mnist_shared.contracts.runs import RunState, SubmitOptions
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore
from tests.shared.storage.conftest import TRAIN, types
from tests.shared.storage.test_runs import ERROR, FAILED


def test_a_failed_attempt_is_queued_again_until_no_retry_is_left(store: RunStore, log: EventLog) -> None:
    run_id = store.submit(TRAIN, options=SubmitOptions(retries=2)).run_id
    for failures in range(2):
        grant = store.claim(run_id, worker="w")
        assert grant
        assert (grant.failures, grant.retries_left) == (failures, 2 - failures)
        store.finish(grant, FAILED, retry=True)
        record = store.get(run_id)
        assert (record.state, record.failures, record.error) == (RunState.QUEUED, failures + 1, ERROR)
        assert record.attempts_without_checkpoint == 0  # it has its retries for that
    grant = store.claim(run_id, worker="w")
    assert grant
    store.finish(grant, FAILED, retry=True)
    assert store.get(run_id).state is RunState.FAILED
    attempt = ["attempt_started", "attempt_failed"]
    assert types(log, run_id) == ["submitted", *attempt, *attempt, "attempt_started", "finished"]
    failed = log.replay(run_id)[2].event
    assert isinstance(failed, AttemptFailed)
    assert (failed.attempt, failed.worker, failed.error) == (1, "w", ERROR)


def test_a_retry_waits_behind_the_others_of_its_priority(store: RunStore) -> None:
    first = store.submit(TRAIN, options=SubmitOptions(retries=1)).run_id
    others = [store.submit(TRAIN).run_id for _ in range(2)]
    low = store.submit(TRAIN, options=SubmitOptions(priority="low")).run_id
    grant = store.claim(first, worker="w")
    assert grant
    store.finish(grant, FAILED, retry=True)
    assert [store.position(run_id) for run_id in (*others, first, low)] == [0, 1, 2, 3]


def test_a_finish_with_a_retry_whose_answer_was_lost_may_be_repeated(store: RunStore, log: EventLog) -> None:
    run_id = store.submit(TRAIN, options=SubmitOptions(retries=2)).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    for _ in range(2):
        store.finish(grant, FAILED, retry=True)
    assert store.get(run_id).failures == 1
    assert types(log, run_id).count("attempt_failed") == 1


def test_an_error_that_would_repeat_ends_the_run(store: RunStore) -> None:
    run_id = store.submit(TRAIN, options=SubmitOptions(retries=2)).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    store.finish(grant, FAILED, retry=False)
    assert store.get(run_id).state is RunState.FAILED


def test_a_run_that_was_to_be_cancelled_is_not_tried_again(store: RunStore) -> None:
    run_id = store.submit(TRAIN, options=SubmitOptions(retries=2)).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    store.cancel(run_id)
    store.finish(grant, FAILED, retry=True)
    record = store.get(run_id)
    assert (record.state, record.error) == (RunState.CANCELLED, ERROR)
