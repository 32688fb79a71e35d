"""Which runs `status` shows: filters, order and page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnist_client.completion import KINDS, STATES
from mnist_shared.errors import InvalidInput

if TYPE_CHECKING:
    from mnist_shared.contracts.runs import RunRecord
    from mnist_shared.errors import ContractError
    from mnist_shared.storage.runs import RunStore

__all__ = ["KINDS", "SORTS", "STATES", "Listing", "Wanted", "in_order", "read_listing", "words_of"]

GROUPS = {"active": ("queued", "running"), "ended": ("succeeded", "failed", "cancelled")}  # short for several states
SORTS = ("age", "name", "kind", "state", "progress", "accuracy", "loss", "worker")
LATEST_FIRST = "age"
_STATE_ORDER = ("running", "queued", "failed", "cancelled", "succeeded")  # what one may have to do with comes first


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    states: frozenset[str] = frozenset()  # none: all
    kinds: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()  # a run has to bear all of them
    sort: str = LATEST_FIRST
    reverse: bool = False
    limit: int | None = 20  # runs on a page; None: all runs on one
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        return bool(self.states or self.kinds or self.tags)


@dataclass(frozen=True)
class Listing:
    """One page of the runs that were asked for."""

    records: Sequence["RunRecord"]
    first: int  # how many come before it
    total: int | None  # of all pages; None: there are more, uncounted


def words_of(values: Iterable[str], allowed: Sequence[str], *, option: str) -> frozenset[str]:
    """What an option that may be given several times, or with commas, names. Groups of states are spelt out.

    Raises:
        InvalidInput: it names something that does not exist.
    """
    found: set[str] = set()
    for word in (word.strip().lower() for value in values for word in value.split(",")):
        if word in GROUPS and allowed == STATES:
            found.update(GROUPS[word])
        elif word in allowed:
            found.add(word)
        elif word:
            raise InvalidInput(f"{option}: there is no {word!r:.40}.", hint=_suggestion(word, allowed))
    return frozenset(found)


def _suggestion(word: str, allowed: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, allowed, n=1)
    return f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(allowed)}."


def read_listing(
    store: "RunStore", wanted: Wanted, *, on_unreadable: "Callable[[ContractError], None] | None" = None
) -> Listing:
    """The page that is wanted. In the order of age it costs a page, in any other all runs that match."""
    limit, is_whole = wanted.limit or max(store.count(), 1), wanted.limit is None
    skip = 0 if is_whole else (wanted.page - 1) * limit
    if wanted.sort != LATEST_FIRST or wanted.reverse:
        every = _search(store, wanted, count=max(store.count(), 1), skip=0, on_unreadable=on_unreadable)
        ordered = in_order(every, wanted.sort, reverse=wanted.reverse)
        return Listing(ordered[skip : skip + limit], skip, len(every))
    if not wanted.is_filtered:
        records = store.latest(limit, skip=skip, on_unreadable=on_unreadable)
        return Listing(records, skip, store.count())
    records = _search(store, wanted, count=limit + 1, skip=skip, on_unreadable=on_unreadable)
    total = None if len(records) > limit else skip + len(records)
    return Listing(records[:limit], skip, total)


def _search(store: "RunStore", wanted: Wanted, **arguments: Any) -> "list[RunRecord]":
    from mnist_shared.contracts.runs import RunState

    states = frozenset(RunState(state) for state in wanted.states)
    return store.search(states=states, kinds=wanted.kinds, tags=wanted.tags, **arguments)


def in_order(records: "Sequence[RunRecord]", sort: str, *, reverse: bool = False) -> "list[RunRecord]":
    """`records` (the newest first) in another order: what is best or furthest first, words by the alphabet.

    Runs that have nothing to be ordered by come last, also in reverse; equal ones stay the newest first.
    """
    if sort == LATEST_FIRST:
        return list(reversed(records)) if reverse else list(records)
    key, descends = _KEYS[sort]
    known = [record for record in records if key(record) is not None]
    unknown = [record for record in records if key(record) is None]
    return sorted(known, key=key, reverse=descends != reverse) + unknown


def _accuracy(record: "RunRecord") -> float | None:
    from mnist_client.rendering.status import best_accuracy

    return best_accuracy(record)


def _loss(record: "RunRecord") -> float | None:
    result, progress = record.result, record.progress
    if result is not None and result.kind == "evaluate":
        return result.average_loss
    if result is not None and result.kind == "train":
        return result.test_loss
    return progress.last_epoch.test_loss if progress is not None and progress.last_epoch is not None else None


def _progress(record: "RunRecord") -> float | None:
    progress = record.progress
    return (progress.epoch + progress.batch / progress.num_batches) / progress.epochs if progress is not None else None


_KEYS: "dict[str, tuple[Callable[[RunRecord], Any], bool]]" = {
    "name": (lambda record: record.options.name, False),
    "kind": (lambda record: record.request.kind, False),
    "state": (lambda record: _STATE_ORDER.index(record.state), False),
    "progress": (_progress, True),
    "accuracy": (_accuracy, True),
    "loss": (_loss, False),
    "worker": (lambda record: record.worker, False),
}
