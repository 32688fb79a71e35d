"""Who is served now and who comes next, read in one bounded step: what estimates of waiting times stand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from mnist_shared.contracts.runs import RunRecord
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.runs import RunStore


@dataclass(frozen=True)
class Serving:
    """The runs under way and those next in line at one moment; what cannot be read is left out."""

    running: list[RunRecord]
    queued: list[RunRecord]  # in the order in which they will be claimed
    blocked: list[RunRecord]  # waiting for another run to succeed; some of them, where they are many
    latest: list[RunRecord]  # the newest of all runs, whatever their state


def read_serving(store: RunStore, *, num_queued: int, num_latest: int, num_running: int = 64) -> Serving:
    """Up to that many records of each kind, in two round trips."""
    keys = store.keys
    with broker_errors(store.redis):
        pipeline = store.redis.pipeline(transaction=False)
        pipeline.zrange(keys.leases, 0, num_running - 1)
        pipeline.zrange(keys.queued, 0, num_queued - 1)
        pipeline.srandmember(keys.blocked, num_queued)
        pipeline.zrevrange(keys.runs, 0, num_latest - 1)
        groups = cast(list[list[str]], pipeline.execute())
    records = read_records(store, list(dict.fromkeys(run_id for ids in groups for run_id in ids)))
    return Serving(*([records[run_id] for run_id in ids if run_id in records] for ids in groups))


def read_records(store: RunStore, run_ids: Sequence[str]) -> dict[str, RunRecord]:
    """The records of those ids that are known and readable, in one round trip."""
    return {record.id: record for record in store.read_all(run_ids, on_unreadable=lambda _: None)}
