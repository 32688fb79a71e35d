"""How fast a run's owner tells events, and how soon followers have them.

The owner is this process, through `RunStore.append`; followers are threads with a connection each (`EventLog.follow`),
in as many other processes as there are cores: `python -m benchmarks.followers RUN URL COUNT`.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.report import SPREAD, Table, spread
from benchmarks.stage import Stage, process
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import BatchProgress, EpochFinished, Finished, RunEvent
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import EpochMetrics, RunState
from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import Grant, RunStore

Receipt = tuple[int, float]  # which event, and the monotonic clock's time, which all processes share


def batch(number: int) -> BatchProgress:
    return BatchProgress(epoch=1, epochs=1, batch=number, num_batches=1_000_000, loss=0.1, images_per_second=1.0)


def epoch(number: int) -> EpochFinished:
    metrics = EpochMetrics(
        epoch=number, train_loss=0.1, test_loss=0.1, test_correct=9900, test_total=10_000, test_accuracy=0.99,
        lr=0.001, seconds=1.0, images_per_second=1.0,
    )  # fmt: skip
    return EpochFinished(epochs=1_000_000, metrics=metrics)


class Owner:
    """A claimed run that tells numbered events, with the record's progress as a worker's reporter does."""

    def __init__(self, url: str) -> None:
        self.store = RunStore(connect(url))
        run_id = self.store.submit(TrainRequest(config=TrainConfig())).run_id
        grant = self.store.claim(run_id, worker="bench")
        assert grant is not None
        self.grant: Grant = grant
        self.told: dict[int, float] = {}  # when, by number
        self._progress = None

    def tell(self, event: RunEvent) -> None:
        number = len(self.told) + 1
        self.told[number] = time.monotonic()
        self._progress = advance(self._progress, event)
        self.store.append(self.grant, event, sequence=number, progress=self._progress)

    def finish(self) -> None:
        self.store.finish(self.grant, Finished(state=RunState.CANCELLED))


def follow(log: EventLog, run_id: str, receipts: list[Receipt], *, on_first: Callable[[], object]) -> None:
    """Note when each batch and epoch comes, until the run ends; `on_first` is called with what was there before."""
    for told in log.follow(run_id):
        now = time.monotonic()
        if told and isinstance(told.event, BatchProgress):
            receipts.append((told.event.batch, now))
        elif told and isinstance(told.event, EpochFinished):
            receipts.append((told.event.metrics.epoch, now))
        elif told and told.event.type == "attempt_started":
            on_first()


def followed(on: Stage, *, count: int, tell: Callable[[Owner], None]) -> tuple[Owner, list[list[Receipt]]]:
    """What `count` followers of one run get while its owner tells."""
    owner = Owner(on.url(0))
    num_processes = min(count, os.cpu_count() or 1)
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                process(
                    [sys.executable, "-m", "benchmarks.followers", owner.grant.run_id, on.url(0), str(share)],
                    log=on.folder / "followers.log",
                    environment=on.environment(0),
                )
            )
            for share in (len(range(first, count, num_processes)) for first in range(num_processes))
        ]
        lines = [child.stdout for child in children if child.stdout]
        for line in lines:
            assert line.readline() == "following\n", (on.folder / "followers.log").read_text()
        tell(owner)
        owner.finish()
        return owner, [receipts for line in lines for receipts in json.loads(line.readline())]


def measure_rates(on: Stage, *, count: int, turns: int) -> Table:
    """As fast as the owner can, with one follower."""
    rows = []
    for label, make in (("batch progress (live, the last 100 kept)", batch), ("epochs (all kept)", epoch)):
        told_rates, got_rates, shares = [], [], []
        for _ in range(turns):
            seconds: list[float] = []

            def tell(owner: Owner, make: Callable[[int], RunEvent] = make, seconds: list[float] = seconds) -> None:
                started = time.monotonic()
                for number in range(1, count + 1):
                    owner.tell(make(number))
                seconds.append(time.monotonic() - started)

            owner, [receipts] = followed(on, count=1, tell=tell)
            told_rates.append(count / seconds[0])
            got_rates.append(len(receipts) / (receipts[-1][1] - owner.told[1]))
            shares.append(len(receipts) / count)
        share = f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %"
        rows.append((label, *spread(told_rates, digits=0), spread(got_rates, digits=0)[0], share))
    return Table(
        "Events per second, one owner, one follower",
        ("event", *SPREAD, "a follower gets", "of all"),
        rows,
        [
            f"{count:,} fenced, numbered appends a turn, with the record's progress, each answered before the next. A "
            "worker tells ten a second at most; a follower that is too slow for the live stream misses some of it.",
        ],
    )


def measure_latency(on: Stage, *, counts: tuple[int, ...], seconds: float, per_second: float = 10) -> Table:
    """Ten batches a second, as a worker tells them."""

    def tell(owner: Owner) -> None:
        started = time.monotonic()
        for number in range(1, round(seconds * per_second) + 1):
            time.sleep(max(0.0, started + number / per_second - time.monotonic()))
            owner.tell(batch(number))

    rows = []
    for count in counts:
        owner, followers = followed(on, count=count, tell=tell)
        late = sorted(at - owner.told[number] for receipts in followers for number, at in receipts)
        p99 = f"{late[int(len(late) * 0.99)] * 1000:.1f}"
        rows.append((f"{count}", *spread(late, scale=1000), p99, f"{count * len(owner.told) - len(late)}"))
    return Table(
        f"From append to a follower, ms, {per_second:g} events a second",
        ("followers of one run", *SPREAD, "p99", "missed"),
        rows,
        [
            "From before the owner's append until the follower has the parsed event; the followers are threads of as "
            "many processes as there are cores, on the same machine as server and owner.",
        ],
    )


def measure(on: Stage, *, events: int = 2000, turns: int = 5, seconds: float = 6.0) -> list[Table]:
    """Both topics; about half a minute."""
    return [measure_rates(on, count=events, turns=turns), measure_latency(on, counts=(1, 200), seconds=seconds)]


def main(run_id: str, url: str, count: str) -> None:
    """The followers' process: says when all follow, and at the end what each got when."""
    all_receipts: list[list[Receipt]] = [[] for _ in range(int(count))]
    following = threading.Semaphore(0)
    threads = [
        threading.Thread(
            target=follow, args=(EventLog(connect(url)), run_id, receipts), kwargs={"on_first": following.release}
        )
        for receipts in all_receipts
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        following.acquire()
    print("following", flush=True)
    for thread in threads:
        thread.join()
    print(json.dumps(all_receipts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
