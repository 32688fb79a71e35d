"""What the queue costs, beside Celery, RQ and dramatiq on the same server in the same minutes.

    python -m benchmarks.queue [--peers PYTHON] [--rounds 10] [--runs 20]

A no-op run from its submission until a follower sees it finished, submissions per second, events per second, 200
followers of one run, `mnist-client status` with up to 10,000 runs, the server's memory per run. All sides are up the
whole time and take turns. RQ and dramatiq are no dependencies of this project: they are imported from this environment,
or from that of the interpreter PYTHON, after `pip install -r benchmarks/requirements.txt` there; else left out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import ROOT

from benchmarks import followers, records
from benchmarks.report import SPREAD, Table, show, spread
from benchmarks.stage import Stage, answer, process, stage

TARGET_MS = 3.0  # a no-op run may take so much longer than a plain Celery task
UNSERVED = 8  # databases from here on have no worker
MEMORY_DISK = Path("/dev/shm")


@dataclass
class Side:
    """A queue under measurement: its worker and its client are processes of their own."""

    label: str
    name: str  # in benchmarks.sides
    python: str
    database: int
    storage: Path | None = None
    seconds: list[list[float]] = field(default_factory=list)  # of no-op runs, a list a round
    rates: list[float] = field(default_factory=list)  # submissions per second, one a round
    num_bytes: list[float] = field(default_factory=list)  # that the server held for each submission

    def start(self, on: Stage, stack: ExitStack) -> None:
        """Start both clients' processes and the worker, and wait for the first runs to end."""
        self.log = on.folder / f"{self.name}-{self.database}.log"
        environment = on.environment(self.database, storage=self.storage)
        module = [self.python, "-m", "benchmarks.sides", self.name]
        if self.name == "ours":
            worker = [self.python, "-m", "benchmarks.noop_worker", "--name", f"bench-{self.database}"]
        else:
            worker = [*module, "worker", on.url(self.database)]
        stack.enter_context(process(worker, log=self.log, environment=environment))
        served, unserved = (
            stack.enter_context(process([*module, "client", on.url(number)], log=self.log, environment=environment))
            for number in (self.database, UNSERVED + self.database)
        )
        self.served, self.unserved = served, unserved
        answer(served, "run 5", log=self.log)

    def run(self, count: int) -> None:
        self.seconds.append(json.loads(answer(self.served, f"run {count}", log=self.log)))

    def submit(self, count: int, *, on: Stage) -> None:
        before = on.used_memory()
        [seconds] = json.loads(answer(self.unserved, f"submit {count}", log=self.log))
        self.rates.append(count / seconds)
        self.num_bytes.append((on.used_memory() - before) / count)
        on.empty(UNSERVED + self.database)


def chosen_sides(peers: str | None, *, memory_disk: Path | None) -> tuple[list[Side], list[str]]:
    """All that can be had here, and a note on each that cannot."""
    sides, notes = [Side("mnist-queue", "ours", sys.executable, 0)], []
    if memory_disk:
        sides.append(Side("mnist-queue, volume in memory", "ours", sys.executable, 1, storage=memory_disk))
    sides.append(Side("Celery, plain task", "celery", sys.executable, 2))
    others = [("RQ", "rq", "rq"), ("RQ, SimpleWorker", "rq-without-fork", "rq"), ("dramatiq", "dramatiq", "dramatiq")]
    for database, (label, name, module) in enumerate(others, 3):
        pythons = [python for python in (sys.executable, peers) if python and _imports(python, module)]
        if pythons:
            sides.append(Side(label, name, pythons[0], database))
        else:
            notes.append(f"{label}: not installed, skipped (pip install -r benchmarks/requirements.txt).")
    return sides, notes


def _imports(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], cwd=ROOT, capture_output=True).returncode == 0


def compare(on: Stage, *, peers: str | None, rounds: int, runs: int, submissions: int) -> list[Table]:
    """No-op runs and submissions, in `rounds` turns of all sides."""
    with ExitStack() as stack:
        memory_disk = None
        if MEMORY_DISK.is_dir():
            memory_disk = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY_DISK, prefix="mnist-bench-")))
        sides, notes = chosen_sides(peers, memory_disk=memory_disk)
        for side in sides:
            side.start(on, stack)
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.run(runs)
        for number in range(max(3, rounds // 2)):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.submit(submissions, on=on)
    return [_overhead(sides, notes), _submissions(sides, notes, count=submissions)]


def _overhead(sides: Sequence[Side], notes: Sequence[str]) -> Table:
    celery = next(side for side in sides if side.name == "celery")
    theirs = [statistics.median(turn) for turn in celery.seconds]
    rows = []
    for side in sides:
        own = [statistics.median(turn) for turn in side.seconds]
        apart = [(one - other) * 1000 for one, other in zip(own, theirs, strict=True)]
        difference = f"{statistics.median(apart):+.1f} ({min(apart):+.1f} to {max(apart):+.1f})"
        every = [seconds for turn in side.seconds for seconds in turn]
        rows.append((side.label, *spread(every, scale=1000), "" if side is celery else difference))
    return Table(
        "No-op run, from the submission until its end is seen, ms",
        ("queue", *SPREAD, "more than Celery, by turns"),
        rows,
        [
            f"Target: at most {TARGET_MS:g} ms more than Celery. One process submits the next when it has seen the end "
            "of the one before; one worker with one pool process or thread; all sides take turns.",
            "mnist-queue: the real worker with an empty trainer; run record, lease, fencing, events, run.json and "
            "events.jsonl (both fsynced) are all written, and the end is read from the event stream.",
            "The peers' task pushes to a Redis list on which the client waits. Celery: prefork, acknowledged early, no "
            "result backend. RQ: a fork for each job is its default; it keeps a job record. dramatiq polls Redis.",
            *notes,
        ],
    )


def _submissions(sides: Sequence[Side], notes: Sequence[str], *, count: int) -> Table:
    once = {side.name: side for side in reversed(sides) if side.name != "rq-without-fork"}
    celery = statistics.median(once["celery"].rates)
    rows = [
        (
            side.label,
            *spread(side.rates, digits=0),
            f"{statistics.median(side.rates) / celery:.2f}",
            f"{statistics.median(side.num_bytes):,.0f}",
        )
        for side in reversed(once.values())
    ]
    words = f"By one process, one after the other, {count} a turn, with nobody serving them; the ratio is of medians."
    return Table("Submissions per second", ("queue", *SPREAD, "to Celery's", "bytes each"), rows, [words, *notes])


def measure(*, peers: str | None = None, rounds: int = 10, runs: int = 20, submissions: int = 500) -> list[Table]:
    """All topics; about two and a half minutes on two cores."""
    with stage() as on:
        tables = compare(on, peers=peers, rounds=rounds, runs=runs, submissions=submissions)
    with stage() as on:
        tables += followers.measure(on)
    with stage() as on:
        tables += records.measure(on)
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has rq and dramatiq")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=20, help="no-op runs of each side in each round")
    parser.add_argument("--submissions", type=int, default=500, help="of each side in each round")
    options = parser.parse_args()
    show(measure(**vars(options)))


if __name__ == "__main__":
    main()
