"""The queue as a whole: how many runs wait, for how long, whether any is served, and what was found in it that is no
message.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pydantic import TypeAdapter

from mnist_shared.contracts.base import Document, read_document
from mnist_shared.contracts.runs import Priority
from mnist_shared.storage.connection import OPERATOR, broker_errors, now_ms
from mnist_shared.storage.keys import PRIORITY_STEPS, Keys, band

if TYPE_CHECKING:
    from redis import Redis

MAX_QUARANTINED = 1000
SHOWN_BYTES = 200


class Quarantined(Document):
    """Something from the queue that no worker could take."""

    reason: str
    num_bytes: int
    beginning: str  # of its bytes, as a Python literal
    worker: str
    at_ms: int  # by the Redis server's clock


_QUARANTINED = TypeAdapter(Quarantined)


@dataclass(frozen=True)
class QueueView:
    """The queue at one moment."""

    waiting: int  # in the queue
    running: int
    oldest_queued_at: datetime | None  # of the runs that are next, one a priority: since when the longest waits
    quarantined: int
    blocked: int  # out of the queue until another run has succeeded
    by_priority: dict[Priority, int]  # of those that wait in the queue; in the order in which they are served
    paused: datetime | None  # since when nothing is served


class Queue:
    """A look at the queue, and the place for what does not belong into it."""

    def __init__(self, redis: "Redis", *, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()

    def view(self) -> QueueView:
        """How things stand."""
        keys = self.keys
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline()
            pipeline.zcard(keys.queued)
            pipeline.zcard(keys.leases)
            pipeline.llen(keys.quarantine)
            pipeline.scard(keys.blocked)
            pipeline.get(keys.paused)
            for priority in PRIORITY_STEPS:
                low, high = band(priority)
                pipeline.zcount(keys.queued, low, f"({high}")
                pipeline.zrange(keys.queued, low, f"({high}", byscore=True, offset=0, num=1)
            waiting, running, quarantined, blocked, paused_ms, *of_each = pipeline.execute()
            counts, heads = of_each[::2], [run_id for head in of_each[1::2] for run_id in head]
            for run_id in heads:
                pipeline.hget(keys.run(run_id), "queued_ms")
            since = [int(queued_ms) for queued_ms in pipeline.execute() if queued_ms]
        return QueueView(
            waiting=waiting,
            running=running,
            oldest_queued_at=_time(min(since, default=None)),
            quarantined=quarantined,
            blocked=blocked,
            by_priority=dict(zip(PRIORITY_STEPS, counts, strict=True)),
            paused=_time(paused_ms),
        )

    def pause(self) -> None:
        """Have no more runs claimed; those under way go on. A queue that is paused stays paused since it was."""
        with broker_errors(self.redis, role=OPERATOR):
            self.redis.set(self.keys.paused, now_ms(self.redis), nx=True)

    def resume(self) -> None:
        """Have runs claimed again, within some seconds."""
        with broker_errors(self.redis, role=OPERATOR):
            self.redis.delete(self.keys.paused)

    def quarantine(self, message: bytes, *, reason: str, worker: str) -> None:
        """Put aside what was popped from the queue; the oldest of more than MAX_QUARANTINED are dropped."""
        with broker_errors(self.redis):
            found = Quarantined(
                reason=reason,
                num_bytes=len(message),
                beginning=repr(message[:SHOWN_BYTES]),
                worker=worker,
                at_ms=now_ms(self.redis),
            )
            pipeline = self.redis.pipeline()
            pipeline.lpush(self.keys.quarantine, found.model_dump_json())
            pipeline.ltrim(self.keys.quarantine, 0, MAX_QUARANTINED - 1)
            pipeline.execute()

    def quarantined(self, count: int) -> list[Quarantined]:
        """The last ones put aside, the newest first."""
        with broker_errors(self.redis):
            texts = cast(list[str], self.redis.lrange(self.keys.quarantine, 0, count - 1))
        return [read_document(_QUARANTINED, text, what="An entry of the quarantine") for text in texts]


def _time(milliseconds: object) -> datetime | None:
    return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC) if milliseconds else None
