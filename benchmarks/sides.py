"""The queues that are compared, each with a task that does nothing, and one way to ask them all.

    python -m benchmarks.sides SIDE worker URL    serve, until killed
    python -m benchmarks.sides SIDE client URL    read lines like "run 20" or "submit 500", answer each with seconds

A run of ours is seen to end through its event stream, as a follower sees it; for the peers see `benchmarks.peers`.
"""

import json
import logging
import sys
import time
from typing import Protocol

from benchmarks import peers


class Client(Protocol):
    """One queue as the process sees it that submits."""

    def submit(self) -> str:
        """Submit a task; return by what its end is known, once the broker has answered."""

    def wait(self, known_by: str) -> None:
        """Return once the task has ended."""


# ---- this project ----------------------------------------------------------------------------------------------


class Ours:
    """Runs that train nothing, served by `benchmarks.noop_worker`."""

    def __init__(self, url: str) -> None:
        from mnist_shared.contracts.config import TrainConfig
        from mnist_shared.contracts.requests import TrainRequest
        from mnist_shared.storage.connection import connect
        from mnist_shared.storage.events import EventLog
        from mnist_shared.storage.runs import RunStore

        redis = connect(url)
        self.store, self.log = RunStore(redis), EventLog(redis)
        self.request = TrainRequest(config=TrainConfig(dataset="digits"))

    def submit(self) -> str:
        return self.store.submit(self.request).run_id

    def wait(self, known_by: str) -> None:
        deadline = time.monotonic() + peers.WAIT_SECONDS
        last = None
        for told in self.log.follow(known_by):
            last = told.event if told else last
            if time.monotonic() > deadline:
                raise TimeoutError(f"run {known_by} did not end within {peers.WAIT_SECONDS} s")
        assert getattr(last, "state", None) == "succeeded", last  # the last event is the one of its end


# ---- the client's process --------------------------------------------------------------------------------------


def measure_runs(client: Client, count: int) -> list[float]:
    """Seconds from a submission to its end, one after the other."""
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        client.wait(client.submit())
        seconds.append(time.perf_counter() - started)
    return seconds


def measure_submissions(client: Client, count: int) -> list[float]:
    """Seconds for all of them together, one after the other; nobody serves them."""
    started = time.perf_counter()
    for _ in range(count):
        client.submit()
    return [time.perf_counter() - started]


def main(side: str, role: str, url: str) -> None:
    logging.basicConfig(level="WARNING")
    if role == "worker":
        peers.WORKERS[side](url)
        return
    client: Client = Ours(url) if side == "ours" else peers.CLIENTS[side](url)
    for line in sys.stdin:
        what, count = line.split()
        measure = measure_runs if what == "run" else measure_submissions
        print(json.dumps(measure(client, int(count))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
