"""The workers that have announced themselves. Presence only: no run's fate hangs on it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.names import checked_worker_name
from mnist_shared.contracts.workers import WORKER, WorkerInfo
from mnist_shared.storage.connection import OPERATOR, broker_errors, now_ms
from mnist_shared.storage.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

# redis-py types an answer as bytes or str; our connections decode.
Pairs = list[tuple[str, float]]
Texts = list[str | None]

ANNOUNCE_SECONDS = 3.0
EXPIRY_SECONDS = 15.0  # without an announcement for so long, a worker counts as gone
REMEMBERED_SECONDS = 86_400.0  # for so long it is shown as lost, unless it has withdrawn


@dataclass(frozen=True)
class PresentWorker:
    """A worker, and when it was last heard of."""

    info: WorkerInfo
    seen_at: datetime  # the Redis server's time of the last announcement


@dataclass(frozen=True)
class Standing:
    """Whether a worker may take runs."""

    is_paused: bool  # nobody may
    is_drained: bool  # this one may not


class WorkerRegistry:
    """Announcements, and who is to take no more runs, in Redis."""

    def __init__(self, redis: "Redis", *, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()

    # ---- announcements -----------------------------------------------------------------------------------------

    def announce(self, info: WorkerInfo) -> None:
        """Say, or say again, that this worker lives."""
        with broker_errors(self.redis):
            now = now_ms(self.redis)
            pipeline = self.redis.pipeline()
            pipeline.set(self.keys.worker(info.name), info.model_dump_json(), px=round(REMEMBERED_SECONDS * 1000))
            pipeline.zadd(self.keys.workers, {info.name: now})
            pipeline.zremrangebyscore(self.keys.workers, "-inf", now - REMEMBERED_SECONDS * 1000)
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
        return self._known(lost=False)

    def lost(self) -> list[PresentWorker]:
        """Those that have fallen silent within REMEMBERED_SECONDS without withdrawing, by name."""
        return self._known(lost=True)

    # ---- who takes runs ----------------------------------------------------------------------------------------

    def drain(self, name: str) -> None:
        """Have the worker of this name finish its run and take no more, until `undrain`; also after a restart of it."""
        with broker_errors(self.redis, role=OPERATOR):
            self.redis.sadd(self.keys.drained, checked_worker_name(name))

    def undrain(self, name: str) -> None:
        """Have it take runs again."""
        with broker_errors(self.redis, role=OPERATOR):
            self.redis.srem(self.keys.drained, checked_worker_name(name))

    def drained(self) -> set[str]:
        """The names of those that are to take no runs, whether they live or not."""
        with broker_errors(self.redis):
            return cast(set[str], self.redis.smembers(self.keys.drained))

    def standing(self, name: str) -> Standing:
        """Whether this worker may take runs, in one round trip."""
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.exists(self.keys.paused)
            pipeline.sismember(self.keys.drained, name)
            is_paused, is_drained = pipeline.execute()
        return Standing(is_paused=bool(is_paused), is_drained=bool(is_drained))

    # ---- inside ------------------------------------------------------------------------------------------------

    def _known(self, *, lost: bool) -> list[PresentWorker]:
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.time()
            pipeline.zrange(self.keys.workers, 0, -1, withscores=True)
            (seconds, _), pairs = pipeline.execute()
            since = (seconds - EXPIRY_SECONDS) * 1000
            seen = {name: score for name, score in sorted(cast(Pairs, pairs)) if (score < since) is lost}
            texts = cast(Texts, self.redis.mget([self.keys.worker(name) for name in seen])) if seen else []
        return [
            PresentWorker(
                read_document(WORKER, text, what=f"The announcement of worker {name}"),
                datetime.fromtimestamp(seen[name] / 1000, UTC),
            )
            for name, text in zip(seen, texts, strict=True)
            if text is not None
        ]
