"""Each transition of a run, on a real server."""

from collections.abc import Callable

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import BatchProgress, CheckpointSaved, EpochFinished, Finished
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, Progress, RunError, RunState, TrainResult
from mnist_shared.errors import ContractError, InvalidInput, LeaseLost, RunNotFound
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.grants import Telling
from mnist_shared.storage.runs import MAX_ATTEMPTS, RunStore
from tests.shared.storage.conftest import TRAIN, somebody_reaps, types

RESULT = TrainResult(
    epochs=1, test_loss=0.1, test_correct=9, test_total=10, test_accuracy=0.9, seconds=1.0, device="cpu", num_threads=1,
    weights_sha256="0" * 64, model_file="mnist_cnn.pt",
)  # fmt: skip
ERROR = RunError(kind="VolumeError", message="The volume is full.", hint="Free space.", attempt=1)
SUCCEEDED = Finished(state=RunState.SUCCEEDED, result=RESULT)
FAILED = Finished(state=RunState.FAILED, error=ERROR)
CANCELLED = Finished(state=RunState.CANCELLED)
PROGRESS = Progress(epoch=0, epochs=1, batch=3, num_batches=10, loss=0.5)


def epoch(number: int) -> EpochFinished:
    metrics = EpochMetrics(
        epoch=number, train_loss=0.1, test_loss=0.1, test_correct=9, test_total=10, test_accuracy=0.9, lr=0.001,
        seconds=1.0, images_per_second=10.0,
    )  # fmt: skip
    return EpochFinished(epochs=3, metrics=metrics)


def checkpoint(attempt: int = 1) -> CheckpointRef:
    return CheckpointRef(file="epoch-0001.pt", epoch=1, batch=0, attempt=attempt, num_bytes=10, sha256="0" * 64)


def test_a_submitted_run_is_queued_with_its_message_in_the_list(store: RunStore) -> None:
    submission = store.submit(TRAIN)
    record = store.get(submission.run_id)
    assert (record.state, record.request, record.attempt) == (RunState.QUEUED, TRAIN, 0)
    assert submission.position == 0
    assert store.redis.llen(store.keys.messages("normal")) == 1


def test_submitting_twice_with_one_id_submits_once(store: RunStore) -> None:
    for _ in range(2):
        assert store.submit(TRAIN, run_id="0123456789ab").position == 0
    assert store.redis.llen(store.keys.messages("normal")) == 1
    other = TrainRequest(config=TrainConfig(epochs=2))
    with pytest.raises(InvalidInput, match="another request"):
        store.submit(other, run_id="0123456789ab")


def test_runs_are_served_in_the_order_of_their_submission(store: RunStore) -> None:
    submitted = [store.submit(TRAIN) for _ in range(5)]
    assert [one.position for one in submitted] == [0, 1, 2, 3, 4]
    messages = store.redis.lrange(store.keys.messages("normal"), 0, -1)[::-1]
    assert all(one.run_id in message for one, message in zip(submitted, messages, strict=True))


def test_only_one_of_many_claims_is_granted(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    grants = [store.claim(run_id, worker=f"worker-{number}") for number in range(5)]
    assert [grant is not None for grant in grants] == [True, False, False, False, False]
    assert store.get(run_id).worker == "worker-0"


def test_a_claim_asked_again_with_its_nonce_gets_the_same_grant(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    first = store.claim(run_id, worker="w", nonce="n")
    assert store.claim(run_id, worker="w", nonce="n") == first
    assert store.get(run_id).attempt == 1


def test_an_unknown_run_is_not_to_be_claimed(store: RunStore) -> None:
    assert store.claim("0123456789ab", worker="w") is None


def test_a_request_of_another_version_fails_its_run(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    newer = TRAIN.model_dump_json().replace('"schema_version":1', '"schema_version":9')
    store.redis.hset(store.keys.run(run_id), "request", newer)
    with pytest.raises(ContractError, match="schema version 9"):
        store.claim(run_id, worker="w")
    assert store.redis.hget(store.keys.run(run_id), "state") == "failed"


def test_an_owner_is_told_of_a_cancel_with_every_answer(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    assert not store.renew(grant)
    assert store.cancel(run_id) == "requested"
    assert store.renew(grant)
    assert store.append(grant, epoch(1), sequence=1)
    store.finish(grant, CANCELLED)
    assert store.get(run_id).state is RunState.CANCELLED
    assert store.cancel(run_id) == "final"


def test_a_queued_run_is_cancelled_at_once(store: RunStore, log: EventLog) -> None:
    run_id = store.submit(TRAIN).run_id
    assert store.cancel(run_id) == "cancelled"
    assert types(log, run_id) == ["submitted", "finished"]
    assert store.claim(run_id, worker="w") is None


def test_a_run_nobody_owns_any_more_is_cancelled_at_once(store: RunStore, expire: Callable[[str], None]) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    expire(run_id)
    assert store.cancel(run_id) == "cancelled"
    with pytest.raises(LeaseLost):
        store.finish(grant, SUCCEEDED)


def test_an_event_sent_again_is_told_once(store: RunStore, log: EventLog) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    for _ in range(3):
        store.append(grant, epoch(1), sequence=1)
    assert types(log, run_id) == ["submitted", "attempt_started", "epoch"]


def test_events_told_together_are_told_in_order_and_each_once(store: RunStore, log: EventLog) -> None:
    grant = store.claim(store.submit(TRAIN).run_id, worker="w")
    assert grant
    tellings = [
        Telling(1, epoch(1), PROGRESS),
        Telling(2, CheckpointSaved(checkpoint=checkpoint()), checkpoint=checkpoint()),
        Telling(3, epoch(1)),  # told before, under another number
        Telling(4, epoch(2)),
    ]
    store.append_all(grant, tellings[:2])
    store.append_all(grant, tellings)  # the first answer was lost, and there is more to tell by now
    told = types(log, grant.run_id)
    assert told == ["submitted", "attempt_started", "epoch", "checkpoint_saved", "epoch"]
    record = store.get(grant.run_id)
    assert (record.progress, record.checkpoint, record.attempts_without_checkpoint) == (PROGRESS, checkpoint(), 0)
    assert [one.event.type for one in store.replay(grant)] == told
    assert store.replay(grant) == log.replay(grant.run_id)


def test_an_epoch_is_told_once_however_many_attempts_reach_it(
    store: RunStore, log: EventLog, expire: Callable[[str], None]
) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    store.append(grant, epoch(1), sequence=1)
    expire(run_id)
    store.reap()
    second = store.claim(run_id, worker="v")
    assert second
    store.append(second, epoch(1), sequence=1)
    store.append(second, epoch(2), sequence=2)
    assert [told.event.metrics.epoch for told in log.replay(run_id) if isinstance(told.event, EpochFinished)] == [1, 2]


def test_batch_progress_is_live_only_and_bounded(store: RunStore, log: EventLog) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    for number in range(1, 501):
        event = BatchProgress(epoch=1, epochs=1, batch=number, num_batches=500, loss=0.1, images_per_second=1.0)
        store.append(grant, event, sequence=number, progress=PROGRESS)
    assert types(log, run_id) == ["submitted", "attempt_started"]
    assert store.redis.xlen(store.keys.live(run_id)) < 300
    assert store.get(run_id).progress == PROGRESS


def test_a_finish_whose_answer_was_lost_may_be_repeated(store: RunStore, log: EventLog) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    for _ in range(2):
        store.finish(grant, SUCCEEDED)
    record = store.get(run_id)
    assert (record.state, record.result) == (RunState.SUCCEEDED, RESULT)
    assert types(log, run_id) == ["submitted", "attempt_started", "finished"]


def test_a_failed_run_keeps_its_error(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    store.finish(grant, FAILED)
    assert store.get(run_id).error == ERROR


def test_a_run_handed_back_is_the_next_to_be_served_and_not_charged(store: RunStore, log: EventLog) -> None:
    first, second = store.submit(TRAIN).run_id, store.submit(TRAIN).run_id
    grant = store.claim(first, worker="w")
    assert grant
    store.redis.rpop(store.keys.messages("normal"))
    for _ in range(2):  # the second time as if the answer had been lost
        store.release(grant)
    record = store.get(first)
    assert (record.state, record.attempts_without_checkpoint) == (RunState.QUEUED, 0)
    assert (store.position(first), store.position(second)) == (0, 1)
    assert first in store.redis.lindex(store.keys.messages("normal"), -1)
    assert store.redis.llen(store.keys.messages("normal")) == 2
    assert types(log, first)[-1] == "handed_back"


def test_a_run_cancelled_while_it_is_handed_back_is_cancelled(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="w")
    assert grant
    store.cancel(run_id)
    store.release(grant)
    assert store.get(run_id).state is RunState.CANCELLED


def test_a_lost_run_is_queued_again_and_its_old_owner_commits_nothing(
    store: RunStore, log: EventLog, expire: Callable[[str], None]
) -> None:
    run_id = store.submit(TRAIN).run_id
    stale = store.claim(run_id, worker="old")
    assert stale
    expire(run_id)
    assert [(one.run_id, one.action) for one in store.reap()] == [(run_id, "requeued")]
    assert store.get(run_id).state is RunState.QUEUED
    owner = store.claim(run_id, worker="new")
    assert owner
    assert owner.attempt == 2
    before = store.redis.hgetall(store.keys.run(run_id)), log.replay(run_id)
    for write in (
        lambda: store.renew(stale),
        lambda: store.replay(stale),
        lambda: store.append(stale, epoch(1), sequence=1),
        lambda: store.append(stale, CheckpointSaved(checkpoint=checkpoint()), sequence=2, checkpoint=checkpoint()),
        lambda: store.finish(stale, SUCCEEDED),
        lambda: store.finish(stale, FAILED),
        lambda: store.finish(stale, CANCELLED),
        lambda: store.release(stale),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert (store.redis.hgetall(store.keys.run(run_id)), log.replay(run_id)) == before


def test_a_live_lease_is_not_reaped(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    store.claim(run_id, worker="w")
    store.redis.delete(store.keys.messages("normal"))
    somebody_reaps(store)
    assert store.reap() == []


def test_nothing_is_reaped_right_after_a_silence(store: RunStore, expire: Callable[[str], None]) -> None:
    run_id = store.submit(TRAIN).run_id
    store.claim(run_id, worker="w")
    expire(run_id)
    store.redis.set(store.keys.last_reap, 1)
    assert store.reap() == []
    assert store.get(run_id).state is RunState.RUNNING


def test_nothing_is_reaped_right_after_a_restart(store: RunStore, expire: Callable[[str], None]) -> None:
    run_id = store.submit(TRAIN).run_id
    store.claim(run_id, worker="w")
    expire(run_id)
    patient = RunStore(store.redis, lease_seconds=1_000_000)
    assert patient.reap() == []


def test_a_poison_run_fails_after_its_attempts_and_keeps_the_last_error(
    store: RunStore, expire: Callable[[str], None]
) -> None:
    run_id = store.submit(TRAIN).run_id
    for _ in range(MAX_ATTEMPTS):
        assert store.claim(run_id, worker="victim")
        expire(run_id)
        store.reap()
    record = store.get(run_id)
    assert record.state is RunState.FAILED
    assert record.error
    assert "victim" in record.error.message
    assert record.attempt == MAX_ATTEMPTS


def test_a_new_checkpoint_clears_the_charge(store: RunStore, expire: Callable[[str], None]) -> None:
    run_id = store.submit(TRAIN).run_id
    for _ in range(MAX_ATTEMPTS + 3):
        grant = store.claim(run_id, worker="w")
        assert grant
        saved = checkpoint(grant.attempt)
        store.append(grant, CheckpointSaved(checkpoint=saved), sequence=1, checkpoint=saved)
        expire(run_id)
        store.reap()
    assert store.get(run_id).state is RunState.QUEUED


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled(store: RunStore, expire: Callable[[str], None]) -> None:
    run_id = store.submit(TRAIN).run_id
    store.claim(run_id, worker="w")
    store.cancel(run_id)
    expire(run_id)
    assert [one.action for one in store.reap()] == ["cancelled"]


def test_runs_whose_message_was_lost_are_woken_in_their_order(store: RunStore) -> None:
    runs = [store.submit(TRAIN).run_id for _ in range(4)]
    for _ in range(3):
        store.redis.rpop(store.keys.messages("normal"))  # popped by workers that died before they claimed
    assert store.reap() == []  # young: they may yet be claimed
    for run_id in runs:
        store.redis.hset(store.keys.run(run_id), "woken_ms", 1)
    assert sorted(one.run_id for one in store.reap()) == sorted(runs[:3])
    messages = store.redis.lrange(store.keys.messages("normal"), 0, -1)[::-1]
    assert all(run_id in message for run_id, message in zip(runs, messages, strict=True))
    assert store.reap() == []


@pytest.mark.parametrize(
    "garbage", [b"\xff\xfe", b"[]", b"7", b'{"headers": 3}', b'{"headers": {"id": {}}}', b"[" * 5000]
)
def test_garbage_in_the_list_does_not_disturb_the_reaper(store: RunStore, garbage: bytes) -> None:
    store.submit(TRAIN)
    store.redis.rpush(store.keys.messages("normal"), garbage)
    assert store.reap() == []


def test_a_run_is_found_by_prefix_and_relative_name(store: RunStore) -> None:
    first = store.submit(TRAIN, run_id="aaaa00000000").run_id
    second = store.submit(TRAIN, run_id="aabb00000000").run_id
    store.redis.zadd(store.keys.runs, {first: 1, second: 2})  # submitted within the same millisecond, or not
    assert store.resolve("AAAA") == first
    assert (store.resolve("last"), store.resolve("last~1"), store.resolve("~1")) == (second, first, first)
    with pytest.raises(InvalidInput, match="Several"):
        store.resolve("aa")
    for unknown in ("b", "last~2", "brisk-otter", "../etc", "", "aaaa000000000", "[", "aaaa~1"):
        with pytest.raises(RunNotFound):
            store.resolve(unknown)
    with pytest.raises(InvalidInput):
        store.resolve("last~x")


def test_hostile_ids_never_become_a_key(store: RunStore) -> None:
    for hostile in ("../../etc", "a" * 12 + "\n", "*", "", "AAAAAAAAAAAA", "aaaaaaaaaaa\x00"):
        for call in (store.get, store.cancel, lambda run_id: store.claim(run_id, worker="w")):
            with pytest.raises(InvalidInput):
                call(hostile)


def test_the_latest_runs_come_first(store: RunStore) -> None:
    runs = [store.submit(TRAIN).run_id for _ in range(3)]
    for number, run_id in enumerate(runs):
        store.redis.zadd(store.keys.runs, {run_id: number})
    assert [record.id for record in store.latest(2)] == runs[:0:-1]
    assert [record.id for record in store.latest(2, skip=2)] == runs[:1]
    assert store.count() == 3


def test_a_record_of_another_version_is_a_clear_error(store: RunStore) -> None:
    run_id = store.submit(TRAIN).run_id
    store.redis.hset(store.keys.run(run_id), "schema_version", 2)
    with pytest.raises(ContractError, match="schema version 2"):
        store.get(run_id)
