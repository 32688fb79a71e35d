"""The workers that have announced themselves. Presence only: no run's fate hangs on it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis import Redis

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.names import checked_worker_name
from mnist_shared.contracts.workers import WORKER, WorkerInfo
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.keys import Keys

# redis-py types an answer as bytes or str; our connections decode.
Pairs = list[tuple[str, float]]
Texts = list[str | None]

ANNOUNCE_SECONDS = 3.0
EXPIRY_SECONDS = 15.0  # without an announcement for so long, a worker counts as gone


@dataclass(frozen=True)
class PresentWorker:
    info: WorkerInfo
    seen_at: datetime  # the Redis server's time of the last announcement


class WorkerRegistry:
    """Announcements with an expiry, in Redis."""

    def __init__(self, redis: Redis, *, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()

    def announce(self, info: WorkerInfo) -> None:
        """Say, or say again, that this worker lives."""
        with broker_errors(self.redis):
            now = self._now_ms()
            pipeline = self.redis.pipeline()
            pipeline.set(self.keys.worker(info.name), info.model_dump_json(), px=round(EXPIRY_SECONDS * 1000))
            pipeline.zadd(self.keys.workers, {info.name: now})
            pipeline.zremrangebyscore(self.keys.workers, "-inf", now - EXPIRY_SECONDS * 1000)
            pipeline.execute()

    def withdraw(self, name: str) -> None:
        """This worker is stopping."""
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline()
            pipeline.delete(self.keys.worker(checked_worker_name(name)))
            pipeline.zrem(self.keys.workers, name)
            pipeline.execute()

    def present(self) -> list[PresentWorker]:
        """Those that have announced themselves within EXPIRY_SECONDS, by name."""
        with broker_errors(self.redis):
            seen = dict(cast(Pairs, self.redis.zrange(self.keys.workers, 0, -1, withscores=True)))
            texts = cast(Texts, self.redis.mget([self.keys.worker(name) for name in seen])) if seen else []
        return [
            PresentWorker(
                read_document(WORKER, text, what=f"The announcement of worker {name}"),
                datetime.fromtimestamp(float(seen[name]) / 1000, UTC),
            )
            for name, text in sorted(zip(seen, texts, strict=True))
            if text is not None
        ]

    def _now_ms(self) -> int:
        seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000
