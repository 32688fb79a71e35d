"""What runs are called, and how they are found by it."""

import re

import pytest

from mnist_shared.contracts.runs import CANARY_TAG, SubmitOptions
from mnist_shared.errors import InvalidInput, RunNotFound
from mnist_shared.storage import lookup
from mnist_shared.storage.runs import RunStore
from tests.shared.storage.conftest import TRAIN


def named(store: RunStore, name: str) -> str:
    return store.submit(TRAIN, options=SubmitOptions(name=name)).run_id


def test_a_run_without_a_name_is_given_one_by_which_it_is_found(store: RunStore) -> None:
    submission = store.submit(TRAIN)
    assert re.fullmatch(r"[a-z]+-[a-z]+", submission.name)
    assert store.get(submission.run_id).options.name == submission.name
    assert store.resolve(submission.name) == submission.run_id


def test_a_name_that_is_taken_gets_a_number_when_nobody_chose_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_shared.storage.submissions.random_run_name", lambda: "brisk-otter")
    assert [store.submit(TRAIN).name for _ in range(3)] == ["brisk-otter", "brisk-otter-2", "brisk-otter-3"]


def test_a_chosen_name_is_unique_whatever_its_case(store: RunStore) -> None:
    run_id = named(store, "Baseline")
    with pytest.raises(InvalidInput, match=f"Run {run_id} is called 'baseline' already"):
        named(store, "baseline")
    assert store.resolve("BASELINE") == run_id
    assert store.count() == 1


def test_submitting_again_with_one_id_keeps_the_name(store: RunStore) -> None:
    first = store.submit(TRAIN, run_id="0123456789ab")
    assert store.submit(TRAIN, run_id="0123456789ab") == first
    with pytest.raises(InvalidInput, match="another request"):
        store.submit(TRAIN, run_id="0123456789ab", options=SubmitOptions(name="other"))


@pytest.mark.parametrize("name", ["last", "Last", "face", "0123456789ab", "a", "a b", "a:b", "-a", "x" * 64, "é-otter"])
def test_a_name_is_never_what_could_mean_another_run(store: RunStore, name: str) -> None:
    with pytest.raises((InvalidInput, ValueError)):
        named(store, name)
    assert store.count() == 0


def test_a_mistyped_name_is_answered_with_those_that_are_like_it(store: RunStore) -> None:
    named(store, "brisk-otter")
    named(store, "Baseline-lr-3")
    with pytest.raises(RunNotFound) as error:
        store.resolve("brisk-oter")
    assert error.value.hint == "Did you mean brisk-otter?"
    with pytest.raises(RunNotFound) as error:
        store.resolve("baseline-lr-33")
    assert "Baseline-lr-3" in error.value.hint
    with pytest.raises(RunNotFound) as error:
        store.resolve("zzz")
    assert "mnist-client status" in error.value.hint


def test_a_name_is_found_whole_and_not_by_its_beginning(store: RunStore) -> None:
    run_id = named(store, "sweep-1")
    named(store, "sweep-10")
    assert store.resolve("sweep-1") == run_id
    for not_one in ("sweep", "sweep-1:", "sweep-1~1"):
        with pytest.raises(RunNotFound):
            store.resolve(not_one)


def test_the_last_run_is_never_a_canary_of_doctors(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "NUM_CANARIES", 2)
    canary = SubmitOptions(tags=(CANARY_TAG,))
    store.submit(TRAIN, options=canary)
    with pytest.raises(RunNotFound, match="no run 'last'"):
        store.resolve("last")
    first = store.submit(TRAIN, options=SubmitOptions(tags=("doctors", "a"))).run_id
    second = store.submit(TRAIN).run_id
    canaries = [store.submit(TRAIN, options=canary).run_id for _ in range(5)]
    assert [store.resolve(words) for words in ("last", "last~0", "LAST~1")] == [second, second, first]
    with pytest.raises(RunNotFound):
        store.resolve("last~2")
    assert store.resolve(canaries[0]) == canaries[0]


def test_names_are_completed_from_their_beginning(store: RunStore) -> None:
    runs = {name: named(store, name) for name in ("sweep-b", "Sweep-a", "other")}
    assert store.names("sw", limit=10) == [("sweep-a", runs["Sweep-a"]), ("sweep-b", runs["sweep-b"])]
    assert store.names("SW", limit=1) == [("sweep-a", runs["Sweep-a"])]
    assert len(store.names(limit=10)) == 3
    for hostile in ("\x00", "é", "\n", "[", "x" * 200):
        assert store.names(hostile, limit=10) == []


def test_a_forgotten_run_gives_its_name_back(store: RunStore) -> None:
    run_id = named(store, "baseline")
    store.cancel(run_id)
    store.redis.hset(store.keys.run(run_id), "finished_ms", 1)
    store.redis.zadd(store.keys.runs, {run_id: 1})
    assert store.prune(keep_days=1) == [run_id]
    assert named(store, "baseline") == store.resolve("baseline")
