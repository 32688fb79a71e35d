"""The line under the table: what the queue and the workers do, and where the other runs are."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from mnist_client.rendering.output import Paper
from mnist_client.rendering.wording import age, plural

if TYPE_CHECKING:
    from mnist_client.overview import Overview

ENDED = ("succeeded", "failed", "cancelled")


def summary(overview: "Overview") -> str:
    """1 running, 3 queued, 12 succeeded; 2 workers, 1 idle; 20 of 10,000 runs shown."""
    return "; ".join(part for part in (_runs(overview), _workers(overview), _shown(overview)) if part)


def summary_lines(overview: "Overview", paper: Paper) -> list[str]:
    """The same within the paper's width, broken between words."""
    import textwrap

    return textwrap.wrap(summary(overview), paper.width or 10_000) or [""]


def _runs(overview: "Overview") -> str:
    queue = overview.queue
    words = [f"{queue.running:,} running", f"{queue.waiting:,} queued"]
    if queue.blocked:
        words.append(f"{queue.blocked:,} waiting for another")
    words += [f"{overview.counts[state]:,} {state}" for state in ENDED if overview.counts.get(state)]
    return ", ".join(words) + _pause(queue.paused, now=overview.now)


def _pause(since: datetime | None, *, now: datetime) -> str:
    return f"; the queue is paused for {age((now - since).total_seconds())} (queue resume)" if since else ""


def _workers(overview: "Overview") -> str:
    workers = overview.workers
    if not workers:
        return "no worker"
    states = [f"{sum(worker.info.state == state for worker in workers)} {state}" for state in _states(overview)]
    return f"{plural(len(workers), 'worker')} ({', '.join(states)})"


def _states(overview: "Overview") -> Iterator[str]:
    present = {worker.info.state for worker in overview.workers}
    return (state for state in ("busy", "idle", "starting", "draining", "drained") if state in present)


def _shown(overview: "Overview") -> str:
    if overview.has_all or not overview.records:
        return ""
    last = overview.first + len(overview.records)
    which = f"{overview.first + 1:,}-{last:,}" if overview.first else f"{len(overview.records):,}"
    whole = "more" if overview.total is None else f"{overview.total:,}"
    more = f"; --page {overview.wanted.page + 1} for more" if overview.total is None or last < overview.total else ""
    return f"{which} of {whole} shown{more}"
