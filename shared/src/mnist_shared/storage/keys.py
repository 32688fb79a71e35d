"""Every Redis key, built in one place. Ids reach it checked (`contracts.names`)."""

from dataclasses import dataclass

from mnist_shared.contracts.requests import QUEUE


@dataclass(frozen=True)
class Keys:
    """The keys under one prefix; the Celery workers use the same one (`global_keyprefix`)."""

    prefix: str = "mnist:"

    def run(self, run_id: str) -> str:
        """Hash: the run record."""
        return f"{self.prefix}run:{run_id}"

    def events(self, run_id: str) -> str:
        """Stream: what a replay shows. Kept as long as the record."""
        return f"{self.prefix}events:{run_id}"

    def live(self, run_id: str) -> str:
        """Stream: batch progress, the last few seconds of it."""
        return f"{self.prefix}live:{run_id}"

    def worker(self, name: str) -> str:
        """String with an expiry: a worker's announcement."""
        return f"{self.prefix}worker:{name}"

    @property
    def ids(self) -> str:
        """Sorted set, all scores 0: the run ids in lexical order, for prefixes."""
        return f"{self.prefix}ids"

    @property
    def runs(self) -> str:
        """Sorted set: run ids by time of submission, ms."""
        return f"{self.prefix}runs"

    @property
    def queued(self) -> str:
        """Sorted set: queued runs, in the order of the message list."""
        return f"{self.prefix}queued"

    @property
    def sequence(self) -> str:
        """Counter: the score of the next queued run."""
        return f"{self.prefix}sequence"

    @property
    def leases(self) -> str:
        """Sorted set: running runs by the end of their lease, ms."""
        return f"{self.prefix}leases"

    @property
    def queue(self) -> str:
        """List: the Celery messages. Submitted at the left, popped at the right."""
        return f"{self.prefix}{QUEUE}"

    @property
    def quarantine(self) -> str:
        """List: what was found in the queue and is no message."""
        return f"{self.prefix}quarantine"

    @property
    def workers(self) -> str:
        """Sorted set: worker names by last announcement, ms."""
        return f"{self.prefix}workers"

    @property
    def last_reap(self) -> str:
        """String: when somebody last reaped, ms."""
        return f"{self.prefix}last_reap"

    @property
    def hold(self) -> str:
        """String with an expiry: nothing is reaped while it exists."""
        return f"{self.prefix}hold"
