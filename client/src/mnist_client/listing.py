"""Which runs `status` shows: filters, order and page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mnist_client.completion import KINDS, STATES
from mnist_shared.errors import InvalidInput

if TYPE_CHECKING:
    from mnist_shared.contracts.runs import RunRecord, RunState
    from mnist_shared.errors import ContractError
    from mnist_shared.storage.records import Brief
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
    """The page that is wanted. In the order of age it costs a page; in any other, that and a look at all that match."""
    limit, is_whole = wanted.limit or max(store.count(), 1), wanted.limit is None
    skip = 0 if is_whole else (wanted.page - 1) * limit
    if wanted.sort != LATEST_FIRST or wanted.reverse:
        briefs = store.briefs(_KEYS[wanted.sort].fields, states=_states(wanted), kinds=wanted.kinds, tags=wanted.tags)
        ordered = in_order(briefs, wanted.sort, reverse=wanted.reverse)
        records = store.read_all(ordered[skip : skip + limit], on_unreadable=on_unreadable)
        return Listing(records, skip, len(ordered))
    if not wanted.is_filtered:
        records = store.latest(limit, skip=skip, on_unreadable=on_unreadable)
        return Listing(records, skip, store.count())
    records = store.search(
        states=_states(wanted),
        kinds=wanted.kinds,
        tags=wanted.tags,
        count=limit + 1,
        skip=skip,
        on_unreadable=on_unreadable,
    )
    total = None if len(records) > limit else skip + len(records)
    return Listing(records[:limit], skip, total)


def _states(wanted: Wanted) -> "frozenset[RunState]":
    from mnist_shared.contracts.runs import RunState

    return frozenset(RunState(state) for state in wanted.states)


def in_order(briefs: "Iterable[Brief]", sort: str, *, reverse: bool = False) -> list[str]:
    """The ids of `briefs` (the newest first) in another order: what is best or furthest first, words by the alphabet.

    Runs that have nothing to be ordered by come last, also in reverse; equal ones stay the newest first.
    """
    by = _KEYS[sort]
    keys = {brief.id: by.key(brief) for brief in briefs}  # one after the other: of ten thousand none is kept
    if sort == LATEST_FIRST:
        return list(reversed(keys)) if reverse else list(keys)
    known = [run_id for run_id, key in keys.items() if key is not None]
    unknown = [run_id for run_id, key in keys.items() if key is None]
    return sorted(known, key=keys.__getitem__, reverse=by.descends != reverse) + unknown


def _accuracy(brief: "Brief") -> float | None:
    from mnist_client.rendering.status import best_accuracy

    return best_accuracy(brief)


def _loss(brief: "Brief") -> float | None:
    result, progress = brief.result, brief.progress
    if result is not None and result.kind == "evaluate":
        return result.average_loss
    if result is not None and result.kind == "train":
        return result.test_loss
    return progress.last_epoch.test_loss if progress is not None and progress.last_epoch is not None else None


def _progress(brief: "Brief") -> float | None:
    progress = brief.progress
    return (progress.epoch + progress.batch / progress.num_batches) / progress.epochs if progress is not None else None


def _state(brief: "Brief") -> int | None:
    return _STATE_ORDER.index(brief.state) if brief.state in _STATE_ORDER else None


class _By(NamedTuple):
    """An order: the fields of a record that it takes, what it makes of them, and whether the highest comes first."""

    fields: tuple[str, ...]
    key: "Callable[[Brief], Any]"
    descends: bool = False


_KEYS = {
    LATEST_FIRST: _By((), lambda brief: None),
    "name": _By(("name",), lambda brief: brief.name),
    "kind": _By(("kind",), lambda brief: brief.kind),
    "state": _By(("state",), _state),
    "progress": _By(("progress",), _progress, descends=True),
    "accuracy": _By(("result", "progress"), _accuracy, descends=True),
    "loss": _By(("result", "progress"), _loss),
    "worker": _By(("worker",), lambda brief: brief.worker),
}
