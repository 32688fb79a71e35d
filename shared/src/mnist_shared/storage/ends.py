"""Wait for the ends of many runs at once, without asking again and again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mnist_shared.contracts.names import checked_run_id
from mnist_shared.contracts.runs import RunState
from mnist_shared.errors import RunNotFound
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.keys import Keys

if TYPE_CHECKING:
    from redis import Redis


class EndWatch:
    """Which of some runs have ended. Its methods raise BrokerUnreachable; after that, go on with `look`."""

    def __init__(self, redis: "Redis", run_ids: Sequence[str], *, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.ended: dict[str, RunState] = {}  # in the order in which it was noticed
        self._open = [checked_run_id(run_id) for run_id in dict.fromkeys(run_ids)]
        self._positions: dict[str, str] = {}  # stream -> the id of the last event told

    def look(self) -> bool:
        """Ask for the states; true when all have ended.

        Raises:
            RunNotFound: one is not known, or not any more.
        """
        with broker_errors(self.redis):
            pipeline = self.redis.pipeline(transaction=False)
            for run_id in self._open:
                pipeline.xrevrange(self.keys.events(run_id), count=1)  # first: what comes after it wakes us
                pipeline.hget(self.keys.run(run_id), "state")
            answers = pipeline.execute()
        for run_id, newest, state in zip(list(self._open), answers[::2], answers[1::2], strict=True):
            if state is None:
                raise RunNotFound(f"There is no run {run_id}.", hint="See `mnist-client status`.")
            stream = self.keys.events(run_id)
            if RunState(state).is_final:
                self.ended[run_id] = RunState(state)
                self._open.remove(run_id)
                self._positions.pop(stream, None)
            else:
                self._positions[stream] = newest[0][0] if newest else "0"
        return not self._open

    def sleep(self, seconds: float) -> None:
        """Until something is told of one that has not ended, or that time is over."""
        if self._positions and seconds > 0:
            with broker_errors(self.redis):
                self.redis.xread(cast(Any, self._positions), count=1, block=max(1, round(seconds * 1000)))
