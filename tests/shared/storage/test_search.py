"""Runs found by what they are."""

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, TrainRequest
from mnist_shared.contracts.runs import RunState, SubmitOptions
from mnist_shared.errors import ContractError, InvalidInput
from mnist_shared.storage import lookup
from mnist_shared.storage.records import Brief
from mnist_shared.storage.runs import RunStore
from tests.shared.storage.conftest import TRAIN
from tests.shared.storage.test_runs import FAILED, SUCCEEDED


def tagged(store: RunStore, *tags: str) -> str:
    return store.submit(TRAIN, options=SubmitOptions(tags=tags)).run_id


def finish(store: RunStore, run_id: str, *, well: bool = True) -> None:
    grant = store.claim(run_id, worker="w")
    assert grant
    store.finish(grant, SUCCEEDED if well else FAILED)


def test_runs_are_found_by_state_kind_and_tags_the_newest_first(store: RunStore) -> None:
    plain, both, one = tagged(store), tagged(store, "lr=0.1", "sweep"), tagged(store, "sweep")
    target = store.submit(EvaluateRequest(target=plain, config=TRAIN.config)).run_id
    store.cancel(one)

    def found(**wanted: object) -> list[str]:
        return [record.id for record in store.search(count=10, **wanted)]  # type: ignore[arg-type]

    assert found() == [target, one, both, plain]
    assert found(tags={"sweep"}) == [one, both]
    assert found(tags={"sweep", "lr=0.1"}) == [both]
    assert found(tags={"swee"}) == []
    assert found(states={RunState.QUEUED}) == [target, both, plain]
    assert found(states={RunState.CANCELLED, RunState.QUEUED}, kinds={"train"}) == [one, both, plain]
    assert found(kinds={"evaluate"}, states={RunState.CANCELLED}) == []


def test_a_page_is_cut_from_what_fits_however_far_it_lies_apart(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "SEARCH_STEP", 3)
    runs = [tagged(store, "a") if number % 2 else tagged(store) for number in range(10)]
    newest_first = runs[1::2][::-1]
    assert [record.id for record in store.search(tags={"a"}, count=2, skip=1)] == newest_first[1:3]
    assert [record.id for record in store.search(tags={"a"}, count=9, skip=4)] == newest_first[4:]


def test_a_brief_has_the_fields_that_were_asked_for(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "SEARCH_STEP", 2)
    done, damaged, other = (tagged(store, "a") for _ in range(3))
    finish(store, done)
    store.redis.hset(store.keys.run(damaged), mapping={"result": "{", "progress": '{"schema_version": 9}'})
    tagged(store)
    found = list(store.briefs(("state", "result", "progress"), tags={"a"}))
    result = store.get(done).result
    assert result is not None
    assert found == [
        Brief(other, state="queued"),
        Brief(damaged, state="queued"),
        Brief(done, state="succeeded", result=result),
    ]
    assert list(store.briefs(states={RunState.SUCCEEDED})) == [Brief(done)]


def test_a_record_that_cannot_be_read_is_told_of_and_left_out(store: RunStore) -> None:
    damaged, whole = tagged(store, "a"), tagged(store, "a")
    store.redis.hset(store.keys.run(damaged), "schema_version", 9)
    told: list[ContractError] = []
    assert [record.id for record in store.search(tags={"a"}, count=5, on_unreadable=told.append)] == [whole]
    assert len(told) == 1
    with pytest.raises(ContractError):
        store.search(tags={"a"}, count=5)


def test_a_tag_is_checked_before_it_is_kept(store: RunStore) -> None:
    for hostile in ("two words", "", "a\nb", "x" * 64):
        with pytest.raises((InvalidInput, ValueError)):
            tagged(store, hostile)
    assert store.count() == 0


def test_a_success_is_found_by_its_fingerprint(store: RunStore) -> None:
    fingerprint = "a" * 64
    runs = [store.submit(TRAIN, options=SubmitOptions(fingerprint=fingerprint)).run_id for _ in range(2)]
    assert store.find_succeeded(fingerprint) is None
    finish(store, runs[0], well=False)
    assert store.find_succeeded(fingerprint) is None
    finish(store, runs[1])
    assert store.find_succeeded(fingerprint) == runs[1]
    store.redis.hset(store.keys.run(runs[1]), "finished_ms", 1)
    store.redis.zadd(store.keys.runs, {runs[1]: 1})
    assert store.prune(keep_days=1) == [runs[1]]
    assert store.find_succeeded(fingerprint) is None


def test_a_dry_run_leaves_no_fingerprint(store: RunStore) -> None:
    request = TrainRequest(config=TrainConfig(dataset="digits", dry_run=True))
    run_id = store.submit(request, options=SubmitOptions(fingerprint="a" * 64)).run_id
    finish(store, run_id)
    assert store.find_succeeded("a" * 64) is None
