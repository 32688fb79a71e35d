"""Find runs: by id, by what a user calls them, by what they are."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count as count_from
from itertools import islice
from typing import cast

from mnist_shared.contracts.names import checked_run_id
from mnist_shared.contracts.runs import CANARY_TAG, RunRecord, RunState
from mnist_shared.errors import ContractError, InvalidInput, RunNotFound
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.lua import Scripted
from mnist_shared.storage.records import RECORD_FIELDS, Brief, read_brief, read_record

Fields = list[str | None]  # redis-py types an answer as bytes or str; our connections decode

SEARCH_STEP = 1000  # runs that one call looks at: a script should be brief
NUM_CANARIES = 20  # so many of them may be the newest runs, and `last` still takes one call
NUM_SUGGESTED_FROM = 500  # the newest runs, whose names are compared with one that is unknown

OnUnreadable = Callable[[ContractError], None]


class Lookup(Scripted):
    """The run store's reading side."""

    def get(self, run_id: str) -> RunRecord:
        """The record.

        Raises:
            RunNotFound: there is no such run.
            ContractError: it was written by another version.
        """
        with broker_errors(self.redis):
            fields = cast(Fields, self.redis.hmget(self.keys.run(checked_run_id(run_id)), RECORD_FIELDS))
        record = read_record(fields)
        if record is None:
            raise RunNotFound(f"There is no run {run_id}.", hint="See `mnist-client status`.")
        return record

    def latest(self, count: int, *, skip: int = 0, on_unreadable: OnUnreadable | None = None) -> list[RunRecord]:
        """Up to `count` records, the newest first, after the newest `skip`.

        Raises:
            ContractError: one was written by another version, or is damaged, and there is no `on_unreadable` to tell.
        """
        with broker_errors(self.redis):
            run_ids = cast(list[str], self.redis.zrevrange(self.keys.runs, skip, skip + count - 1))
        return self.read_all(run_ids, on_unreadable=on_unreadable)

    def read_all(self, run_ids: Sequence[str], *, on_unreadable: OnUnreadable | None = None) -> list[RunRecord]:
        """The records of those ids that are known, in their order, in one round trip.

        Raises:
            ContractError: one was written by another version, or is damaged, and there is no `on_unreadable` to tell.
        """
        if not run_ids:
            return []
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline(transaction=False)
            for run_id in run_ids:
                pipeline.hmget(self.keys.run(run_id), RECORD_FIELDS)
            rows = cast(list[Fields], pipeline.execute())
        records = []
        for row in rows:
            try:
                record = read_record(row)
            except ContractError as error:
                if on_unreadable is None:
                    raise
                on_unreadable(error)
                continue
            if record is not None:
                records.append(record)
        return records

    def search(
        self,
        *,
        states: Collection[RunState] = frozenset(),
        kinds: Collection[str] = frozenset(),
        tags: Collection[str] = frozenset(),
        count: int,
        skip: int = 0,
        on_unreadable: OnUnreadable | None = None,
    ) -> list[RunRecord]:
        """Up to `count` records, the newest first, after the newest `skip` of those that fit: of one of the states, of
        one of the kinds, with all of the tags. An empty set says nothing.

        Raises:
            ContractError: one was written by another version, or is damaged, and there is no `on_unreadable` to tell.
        """
        if not (states or kinds or tags):
            return self.latest(count, skip=skip, on_unreadable=on_unreadable)
        found = islice(self._matching(states=states, kinds=kinds, tags=tags), skip, skip + count)
        return self.read_all([str(run_id) for run_id, *_ in found], on_unreadable=on_unreadable)

    def briefs(
        self,
        fields: Sequence[str] = (),
        *,
        states: Collection[RunState] = frozenset(),
        kinds: Collection[str] = frozenset(),
        tags: Collection[str] = frozenset(),
    ) -> Iterator[Brief]:
        """All runs that fit (as in `search`), the newest first, with these fields of their records and no others.

        What of a record cannot be read is left out of its brief.
        """
        rows = self._matching(states=states, kinds=kinds, tags=tags, fields=fields)
        for run_id, *values in rows:
            yield read_brief(str(run_id), dict(zip(fields, values, strict=True)))

    def count(self) -> int:
        """How many runs there are."""
        with broker_errors(self.redis):
            return int(self.redis.zcard(self.keys.runs))

    def position(self, run_id: str) -> int | None:
        """How many runs are served before this one; None when it does not wait in the queue."""
        with broker_errors(self.redis):
            rank = self.redis.zrank(self.keys.queued, checked_run_id(run_id))
        return None if rank is None else int(cast(int, rank))

    def children(self, run_id: str) -> list[str]:
        """The runs that were made from this one (resumed, evaluated, tried again), in the order of their submission."""
        with broker_errors(self.redis):
            return cast(list[str], self.redis.zrange(self.keys.children(checked_run_id(run_id)), 0, -1))

    def dependents(self, run_id: str) -> list[str]:
        """The runs that wait for this one to succeed, in the order of their submission."""
        with broker_errors(self.redis):
            return cast(list[str], self.redis.zrange(self.keys.dependents(checked_run_id(run_id)), 0, -1))

    def find_succeeded(self, fingerprint: str) -> str | None:
        """The last run that succeeded with this fingerprint."""
        with broker_errors(self.redis):
            return cast(str | None, self.redis.hget(self.keys.fingerprints, fingerprint))

    # ---- names -------------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> str:
        """The id of the run that a user means by a unique id prefix, a name, `last`, or `last~N` (N before the last).

        The canaries of `doctor` are never the last.

        Raises:
            RunNotFound: none.
            InvalidInput: several, or it is no such name at all.
        """
        word, tilde, back = name.strip().lower().partition("~")
        if word == "last" or (tilde and not word):
            return self._resolve_last(name, back)
        found = [] if tilde else self._ids_of(word)
        if not found:
            raise RunNotFound(f"There is no run {name!r:.80}.", hint=self._suggestion(word))
        if len(found) > 1:
            some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            raise InvalidInput(f"Several runs begin with {word!r}: {some}.", hint="Give more digits.")
        return found[0]

    def names(self, prefix: str = "", *, limit: int) -> list[tuple[str, str]]:
        """The names that begin so, in lower case, each with its run's id; in the order of the alphabet."""
        if not _is_plain(prefix):
            return []
        word = prefix.lower()
        with broker_errors(self.redis):
            entries = cast(
                list[str], self.redis.zrangebylex(self.keys.names, f"[{word}", f"[{word}\x7f", start=0, num=limit)
            )
        return [(name, run_id) for name, _, run_id in (entry.partition(":") for entry in entries)]

    def _resolve_last(self, name: str, back: str) -> str:
        if back and not (back.isascii() and back.isdigit() and len(back) < 9):
            raise InvalidInput(
                f"{name!r:.80} is not a run.", hint="Write `last`, or `last~2` for the second before it."
            )
        number = int(back or 0)
        rows = self._matching(without=(CANARY_TAG,), step=min(number + NUM_CANARIES, SEARCH_STEP))
        for run_id, *_ in islice(rows, number, number + 1):
            return str(run_id)
        raise RunNotFound(f"There is no run {name!r}.", hint="See `mnist-client status`.")

    def _matching(
        self,
        *,
        states: Collection[RunState] = (),
        kinds: Collection[str] = (),
        tags: Collection[str] = (),
        without: Collection[str] = (),
        fields: Sequence[str] = (),
        step: int | None = None,
    ) -> Iterator[Fields]:
        """Id and `fields` of the runs that fit, the newest first; `step` of them are looked at in one call."""
        step = step or SEARCH_STEP
        words = [_words(some) for some in (states, kinds, tags, without, fields)]
        for first in count_from(0, step):
            num_seen, *found = self._call("search", first, step, *words)
            for place in range(0, len(found), 1 + len(fields)):
                yield found[place : place + 1 + len(fields)]
            if num_seen < step:
                return

    def _ids_of(self, word: str) -> list[str]:
        """What begins with these digits, or bears this name: no name could be taken for digits (`checked_run_name`)."""
        if not word or not _is_plain(word):
            return []
        if len(word) <= 12 and not set(word) - set("0123456789abcdef"):
            with broker_errors(self.redis):
                return cast(list[str], self.redis.zrangebylex(self.keys.ids, f"[{word}", f"[{word}g", start=0, num=4))
        return [run_id for name, run_id in self.names(f"{word}:", limit=1)]

    def _suggestion(self, word: str) -> str:
        import difflib

        with broker_errors(self.redis):
            run_ids = cast(list[str], self.redis.zrevrange(self.keys.runs, 0, NUM_SUGGESTED_FROM - 1))
            pipeline = self.redis.pipeline(transaction=False)
            for run_id in run_ids:
                pipeline.hget(self.keys.run(run_id), "name")
            names = {name.lower(): name for name in cast(Fields, pipeline.execute()) if name}
        if close := difflib.get_close_matches(word, names, n=3, cutoff=0.7):
            return f"Did you mean {' or '.join(names[name] for name in close)}?"
        return "Give a name, an id or its beginning, `last`, or `last~1`; see `mnist-client status`."


def _words(words: Collection[str]) -> str:
    """Words between blanks, as the script takes them; a blank alone for none."""
    return "".join(f" {word}" for word in words) + " "


def _is_plain(text: str) -> bool:
    """Whether it can be the beginning of a name, or of an entry in the index of names."""
    return text.isascii() and text.isprintable() and len(text) <= 80
