"""The only door to run state. Each transition is one Lua script; each is safe to repeat."""

from mnist_shared.storage.grants import Grant, Grants
from mnist_shared.storage.lookup import Lookup
from mnist_shared.storage.submissions import Submission, Submissions
from mnist_shared.storage.upkeep import MAX_ATTEMPTS, ORPHAN_SECONDS, Reaped, Upkeep

__all__ = ["MAX_ATTEMPTS", "ORPHAN_SECONDS", "Grant", "Reaped", "RunStore", "Submission"]


class RunStore(Submissions, Lookup, Grants, Upkeep):
    """Run records in Redis: what clients, workers and operators do with them.

    Its methods raise BrokerUnreachable (or BrokerRefused) when the server is not to be had.
    """
