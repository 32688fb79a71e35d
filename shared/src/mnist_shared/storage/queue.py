"""The queue as a whole: how many runs wait, for how long, and what was found in it that is no message."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from pydantic import TypeAdapter
from redis import Redis

from mnist_shared.contracts.base import Document, read_document
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.keys import Keys

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

    waiting: int
    running: int
    oldest_queued_at: datetime | None  # since when the run waits that is served next
    quarantined: int


class Queue:
    """A look at the queue, and the place for what does not belong into it."""

    def __init__(self, redis: Redis, *, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()

    def view(self) -> QueueView:
        """How things stand."""
        keys = self.keys
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline()
            pipeline.zcard(keys.queued)
            pipeline.zcard(keys.leases)
            pipeline.zrange(keys.queued, 0, 0)
            pipeline.llen(keys.quarantine)
            waiting, running, first, quarantined = pipeline.execute()
            queued_ms = self.redis.hget(keys.run(first[0]), "queued_ms") if first else None
        return QueueView(
            waiting=waiting,
            running=running,
            oldest_queued_at=datetime.fromtimestamp(int(queued_ms) / 1000, UTC) if queued_ms else None,
            quarantined=quarantined,
        )

    def quarantine(self, message: bytes, *, reason: str, worker: str) -> None:
        """Put aside what was popped from the queue; the oldest of more than MAX_QUARANTINED are dropped."""
        with broker_errors(self.redis):
            seconds, microseconds = self.redis.time()
            found = Quarantined(
                reason=reason,
                num_bytes=len(message),
                beginning=repr(message[:SHOWN_BYTES]),
                worker=worker,
                at_ms=int(seconds) * 1000 + int(microseconds) // 1000,
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
