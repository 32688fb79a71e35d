"""Every Redis key, built in one place. Ids reach it checked (`contracts.names`)."""

from dataclasses import dataclass
from typing import Final

from mnist_shared.contracts.requests import QUEUE
from mnist_shared.contracts.runs import Priority

# kombu's Redis transport keeps one list a priority: `queue`, `queue\x06\x163`, `queue\x06\x166`. BRPOP is given them in
# this order, and takes from the first that has something.
PRIORITY_STEPS: Final[dict[Priority, int]] = {"high": 0, "normal": 3, "low": 6}
KOMBU_SEPARATOR: Final = "\x06\x16"
# Scores of the `queued` index: a band a priority, wide enough for half a million million runs on each side of its
# middle. Lua writes 14 digits of a number, and these have 13.
BAND: Final = 10**12


@dataclass(frozen=True)
class Keys:
    """The keys under one prefix; the Celery workers use the same one (`global_keyprefix`)."""

    prefix: str = "mnist:"

    # ---- of one run --------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> str:
        """Hash: the run record."""
        return f"{self.prefix}run:{run_id}"

    def events(self, run_id: str) -> str:
        """Stream: what a replay shows. Kept as long as the record."""
        return f"{self.prefix}events:{run_id}"

    def live(self, run_id: str) -> str:
        """Stream: batch progress, the last few seconds of it."""
        return f"{self.prefix}live:{run_id}"

    def children(self, run_id: str) -> str:
        """Sorted set: runs that were made from this one, in the order of their submission."""
        return f"{self.prefix}children:{run_id}"

    def dependents(self, run_id: str) -> str:
        """Sorted set: runs that wait for this one to succeed, in the order of their submission."""
        return f"{self.prefix}dependents:{run_id}"

    # ---- of all runs -------------------------------------------------------------------------------------------

    @property
    def ids(self) -> str:
        """Sorted set, all scores 0: the run ids in lexical order, for prefixes."""
        return f"{self.prefix}ids"

    @property
    def names(self) -> str:
        """Sorted set, all scores 0: `name:id`, the name in lower case, in lexical order."""
        return f"{self.prefix}names"

    @property
    def runs(self) -> str:
        """Sorted set: run ids by time of submission, ms."""
        return f"{self.prefix}runs"

    @property
    def counters(self) -> str:
        """Hash: what has happened since the first day (submissions, epochs, ...), for metrics."""
        return f"{self.prefix}counters"

    @property
    def fingerprints(self) -> str:
        """Hash: fingerprint to the id of the last run that succeeded with it."""
        return f"{self.prefix}fingerprints"

    # ---- the queue ---------------------------------------------------------------------------------------------

    @property
    def queued(self) -> str:
        """Sorted set: queued runs, in the order in which they are served."""
        return f"{self.prefix}queued"

    @property
    def blocked(self) -> str:
        """Set: runs that are out of the queue until another one has succeeded."""
        return f"{self.prefix}blocked"

    @property
    def sequence(self) -> str:
        """Counter: the place of the next queued run in its band."""
        return f"{self.prefix}sequence"

    @property
    def leases(self) -> str:
        """Sorted set: running runs by the end of their lease, ms."""
        return f"{self.prefix}leases"

    def messages(self, priority: Priority) -> str:
        """List: the Celery messages of one priority. Submitted at the left, popped at the right."""
        step = PRIORITY_STEPS[priority]
        return f"{self.prefix}{QUEUE}{KOMBU_SEPARATOR}{step}" if step else f"{self.prefix}{QUEUE}"

    @property
    def paused(self) -> str:
        """String: since when the queue is paused, ms."""
        return f"{self.prefix}paused"

    @property
    def quarantine(self) -> str:
        """List: what was found in the queue and is no message."""
        return f"{self.prefix}quarantine"

    # ---- the workers -------------------------------------------------------------------------------------------

    def worker(self, name: str) -> str:
        """String with an expiry: a worker's announcement."""
        return f"{self.prefix}worker:{name}"

    @property
    def workers(self) -> str:
        """Sorted set: worker names by last announcement, ms."""
        return f"{self.prefix}workers"

    @property
    def drained(self) -> str:
        """Set: names of workers that take no new runs."""
        return f"{self.prefix}drained"

    @property
    def last_reap(self) -> str:
        """String: when somebody last reaped, ms."""
        return f"{self.prefix}last_reap"

    @property
    def hold(self) -> str:
        """String with an expiry: nothing is reaped while it exists."""
        return f"{self.prefix}hold"


def band(priority: Priority) -> tuple[int, int]:
    """The scores of the queued runs of one priority: from, and below."""
    middle = list(PRIORITY_STEPS).index(priority) * BAND
    return middle - BAND // 2, middle + BAND // 2


def lua_tables(keys: Keys) -> str:
    """The same for the scripts: `key.queued`, `key.run .. id`; and `band.high`, a priority's list and its scores."""
    of_a_run = {name: getattr(keys, name)("") for name in ("run", "events", "live", "children", "dependents")}
    of_all = {
        name: getattr(keys, name)
        for name in (
            *("ids", "names", "runs", "fingerprints", "queued", "blocked", "sequence", "leases", "paused", "drained"),
            *("last_reap", "hold", "counters"),
        )
    }
    names = "".join(f"  {name} = {_lua_text(text)},\n" for name, text in (of_a_run | of_all).items())
    bands = ""
    for priority in PRIORITY_STEPS:
        low, high = band(priority)
        scores = f"low = {low}, middle = {(low + high) // 2}, high = {high}"
        bands += f"  {priority} = {{messages = {_lua_text(keys.messages(priority))}, {scores}}},\n"
    return f"local key = {{\n{names}}}\nlocal band = {{\n{bands}}}\n"


def _lua_text(text: str) -> str:
    """A Lua string: what is no plain letter as a decimal escape of its bytes."""
    plain = b"abcdefghijklmnopqrstuvwxyz:_"
    escaped = (chr(byte) if byte in plain else f"\\{byte:03d}" for byte in text.encode())
    return f"'{''.join(escaped)}'"
