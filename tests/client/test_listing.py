"""Which runs `status` lists: filters, order, pages; asked of the real store."""

import pytest
from redis import Redis

from mnist_client import listing
from mnist_client.listing import Listing, Wanted, read_listing, words_of
from mnist_shared.errors import ContractError, InvalidInput
from mnist_shared.storage.runs import RunStore
from tests.client.zoo import Zoo


@pytest.fixture
def zoo(client: Redis) -> Zoo:
    return Zoo(client)


def names(found: Listing) -> str:
    return " ".join(str(record.options.name) for record in found.records)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(states=frozenset({"failed"})), "dusty-crow calm-hare"),
        (Wanted(states=frozenset({"queued", "running"})), "ideal-wren happy-toad eager-lynx"),
        (Wanted(kinds=frozenset({"evaluate"})), "fresh-moth"),
        (Wanted(tags=frozenset({"sweep", "lr=0.001"})), "brisk-otter"),
        (Wanted(tags=frozenset({"sweep"}), states=frozenset({"failed"})), ""),
        (Wanted(limit=2), "ideal-wren happy-toad"),
        (Wanted(limit=3, page=3), "calm-hare brisk-otter"),
        (Wanted(limit=1, page=2, states=frozenset({"failed"})), "calm-hare"),
        (Wanted(limit=2, reverse=True), "brisk-otter calm-hare"),
        (Wanted(limit=2, sort="name"), "brisk-otter calm-hare"),
        (Wanted(limit=3, sort="accuracy"), "brisk-otter fresh-moth eager-lynx"),
        (Wanted(limit=3, sort="progress", reverse=True), "calm-hare eager-lynx brisk-otter"),
        (Wanted(limit=3, sort="state"), "eager-lynx ideal-wren happy-toad"),
        (Wanted(limit=2, sort="loss", page=2), "eager-lynx calm-hare"),
        (
            Wanted(limit=None, sort="kind"),
            "fresh-moth ideal-wren happy-toad grand-seal eager-lynx dusty-crow calm-hare brisk-otter",
        ),
    ],
)
def test_filters_order_and_pages(store: RunStore, zoo: Zoo, wanted: Wanted, expected: str) -> None:
    assert names(read_listing(store, wanted)) == expected


def test_runs_without_what_they_are_ordered_by_come_last(store: RunStore, zoo: Zoo) -> None:
    for reverse in (False, True):
        found = names(read_listing(store, Wanted(sort="accuracy", reverse=reverse))).split()
        assert found[4:] == ["ideal-wren", "happy-toad", "grand-seal", "dusty-crow"]


def test_a_page_knows_what_is_on_the_others(store: RunStore, zoo: Zoo) -> None:
    plain = read_listing(store, Wanted(limit=3, page=2))
    assert (plain.first, plain.total) == (3, 8)
    assert read_listing(store, Wanted(limit=1, states=frozenset({"failed"}))).total is None
    assert read_listing(store, Wanted(limit=1, page=2, states=frozenset({"failed"}))).total == 2
    assert read_listing(store, Wanted(limit=2, sort="name")).total == 8


def test_a_record_that_cannot_be_read_comes_last_and_is_told_of_where_its_page_is_shown(
    store: RunStore, zoo: Zoo
) -> None:
    key = store.keys.run(zoo.ids["brisk-otter"])
    store.redis.hset(key, mapping={"result": "{", "progress": "{", "schema_version": 9})
    told: list[ContractError] = []
    first = read_listing(store, Wanted(limit=3, sort="accuracy"), on_unreadable=told.append)
    assert (names(first), first.total, told) == ("fresh-moth eager-lynx calm-hare", 8, [])
    rest = read_listing(store, Wanted(limit=5, page=2, sort="accuracy"), on_unreadable=told.append)
    assert (names(rest), len(told)) == ("grand-seal dusty-crow", 1)


def test_words_may_be_repeated_or_listed_and_groups_are_spelt_out() -> None:
    assert words_of(["failed, Queued", "running"], listing.STATES, option="--state") == {"failed", "queued", "running"}
    assert words_of(["active"], listing.STATES, option="--state") == {"queued", "running"}
    assert words_of(["ended"], listing.STATES, option="--state") == {"succeeded", "failed", "cancelled"}


@pytest.mark.parametrize(
    ("word", "allowed", "hint"),
    [
        ("acuracy", listing.SORTS, "Did you mean accuracy?"),
        ("xyz", listing.KINDS, "Use one of train, resume, evaluate, export, predict, verify."),
        ("active", listing.KINDS, "Use one of"),
    ],
)
def test_an_unknown_word_is_answered_with_a_likely_one(word: str, allowed: tuple[str, ...], hint: str) -> None:
    with pytest.raises(InvalidInput, match=f"there is no {word!r}") as caught:
        words_of([word], allowed, option="--sort")
    assert caught.value.hint.startswith(hint)
