"""Read a run's events: what has happened from the first one on, then what happens, as it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.events import EVENT, Finished, RunEvent
from mnist_shared.contracts.names import checked_run_id
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

# redis-py types an answer as bytes or str; our connections decode.
Entry = tuple[str, dict[str, str]]
Entries = list[Entry]

BLOCK_MS = 2000  # well under the socket's timeout: a longer block would end as an error


@dataclass(frozen=True)
class ToldEvent:
    """An event as it stands in the stream."""

    id: str
    event: RunEvent

    @property
    def milliseconds(self) -> int:
        """The Redis server's time at which it was told, ms."""
        return int(self.id.partition("-")[0])

    @property
    def at(self) -> datetime:
        """The same, as a time."""
        return datetime.fromtimestamp(self.milliseconds / 1000, UTC)


class EventLog:
    """The events of runs, read only."""

    def __init__(self, redis: "Redis", *, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()

    def replay(self, run_id: str) -> list[ToldEvent]:
        """All that was told so far, batch progress excepted."""
        with broker_errors(self.redis):
            entries = cast(Entries, self.redis.xrange(self.keys.events(checked_run_id(run_id))))
        return [read_event(entry) for entry in entries]

    def follow(
        self, run_id: str, *, after: str = "0", live_after: str | None = None, block_ms: int = BLOCK_MS
    ) -> Iterator[ToldEvent | None]:
        """Every event after the id `after`, then each new one, up to the last; with the batch progress after the id
        `live_after`, or from the newest there is.

        Yields None when nothing was told for `block_ms`, so that the caller may look at the time. Raises
        BrokerUnreachable when the connection breaks: call it again with the last id seen.
        """
        events, live = self.keys.events(checked_run_id(run_id)), self.keys.live(run_id)
        positions = {events: after, live: live_after or self._before_newest(live)}
        while True:
            with broker_errors(self.redis):
                answer: Any = self.redis.xread(cast(Any, positions), count=500, block=block_ms)
            if not answer:
                yield None
                continue
            streams = answer.items() if isinstance(answer, dict) else answer
            found: list[ToldEvent] = []
            for stream, entries in streams:
                # RESP3 nests the entries of a stream once more than RESP2.
                flat = entries[0] if entries and isinstance(entries[0], list) else entries
                positions[stream] = flat[-1][0]
                found += [read_event(entry) for entry in flat]
            for told in sorted(found, key=lambda told: _order(told.id)):
                yield told
                if isinstance(told.event, Finished):
                    return

    def _before_newest(self, stream: str) -> str:
        """The id after which there is one event. Not "$", which XREAD takes anew each time: what comes between two
        calls would be missed.
        """
        with broker_errors(self.redis):
            newest = cast(Entries, self.redis.xrevrange(stream, count=2))
        return newest[1][0] if len(newest) > 1 else "0"


def read_event(entry: Entry) -> ToldEvent:
    """An entry of a stream as an event.

    Raises:
        ContractError: it is damaged, or was written by another version.
    """
    event_id, fields = entry
    return ToldEvent(event_id, read_document(EVENT, fields.get("event", ""), what=f"Event {event_id}"))


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number)
