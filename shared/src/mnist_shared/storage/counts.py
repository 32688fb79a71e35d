"""How many runs there are, by state."""

from collections import Counter
from typing import TYPE_CHECKING

from mnist_shared.storage.keys import Keys
from mnist_shared.storage.lua import Scripted

if TYPE_CHECKING:
    from redis import Redis

STEP = 5000  # runs that one call looks at: a script should be brief
LIMIT = 50_000  # runs looked at: the newest


class Census(Scripted):
    """Counts runs; reads only."""

    def __init__(self, redis: "Redis", *, keys: Keys | None = None) -> None:
        super().__init__(redis, keys=keys)

    def by_state(self) -> Counter[str]:
        """The newest LIMIT runs, by their state. Raises BrokerUnreachable."""
        counts: Counter[str] = Counter()
        for first in range(0, LIMIT, STEP):
            num_seen, *found = self._call("counts", first, STEP)
            counts.update(dict(zip(found[::2], found[1::2], strict=True)))
            if num_seen < STEP:
                break
        return counts
