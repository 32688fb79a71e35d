"""What `status` shows at one moment: a page of runs, and what is to be known about the queue and the workers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mnist_client.estimates import Outlook
from mnist_client.listing import Listing, Wanted, read_listing

if TYPE_CHECKING:
    from mnist_client.context import CommandContext
    from mnist_shared.contracts.runs import RunRecord
    from mnist_shared.storage.queue import QueueView
    from mnist_shared.storage.workers import PresentWorker


@dataclass(frozen=True)
class Overview:
    records: "Sequence[RunRecord]"
    now: datetime  # by the Redis server's clock
    queue: "QueueView"
    workers: "Sequence[PresentWorker]"
    outlook: Outlook = field(default_factory=Outlook)
    counts: Mapping[str, int] = field(default_factory=dict)  # of all runs, by state
    names: Mapping[str, str] = field(default_factory=dict)  # of the runs that others wait for, by id
    wanted: Wanted = field(default_factory=Wanted)
    first: int = 0  # how many runs come before this page
    total: int | None = None  # runs on all pages; None: more than these, uncounted

    @property
    def has_all(self) -> bool:
        """Whether no other page holds a run that matches."""
        return self.total is not None and self.total <= len(self.records)


def load_overview(context: "CommandContext", wanted: Wanted) -> Overview:
    """What matches `wanted`, now. A record that cannot be read is warned about and left out."""
    listing = read_listing(context.store, wanted, on_unreadable=lambda error: context.output.warn(str(error)))
    return _overview(context, listing, wanted)


def overview_of(context: "CommandContext", records: "Sequence[RunRecord]") -> Overview:
    """These runs, in their order."""
    return _overview(context, Listing(records, 0, len(records)), Wanted())


def _overview(context: "CommandContext", listing: Listing, wanted: Wanted) -> Overview:
    now, workers = context.now(), context.registry.present()
    return Overview(
        records=listing.records,
        now=now,
        queue=context.queue.view(),
        workers=workers,
        outlook=load_prospects(context, listing.records, workers=workers, now=now),
        counts=_counts(context, listing, wanted),
        names=_names_waited_for(context, listing.records),
        wanted=wanted,
        first=listing.first,
        total=listing.total,
    )


def _counts(context: "CommandContext", listing: Listing, wanted: Wanted) -> Mapping[str, int]:
    if not wanted.is_filtered and listing.total == len(listing.records):
        return Counter(str(record.state) for record in listing.records)
    from mnist_shared.storage.counts import Census

    return Census(context.redis).by_state()


def load_prospects(
    context: "CommandContext",
    records: "Sequence[RunRecord]",
    *,
    workers: "Sequence[PresentWorker]",
    now: datetime,
) -> Outlook:
    """When those of `records` that have not ended will start and end; asks the broker only where there are any."""
    if all(record.state.is_final for record in records):
        return Outlook()
    from mnist_client.estimates import device_kinds, load_outlook

    return load_outlook(context.store, devices=device_kinds(workers), now=now, shown=records)


def _names_waited_for(context: "CommandContext", records: "Sequence[RunRecord]") -> dict[str, str]:
    wanted = {record.waits_for for record in records if record.waits_for is not None}
    if not wanted:
        return {}
    from mnist_shared.storage.serving import read_records

    known = {record.id: record for record in records}
    found = known | read_records(context.store, sorted(wanted - known.keys()))
    return {run_id: found[run_id].options.name or run_id for run_id in wanted if run_id in found}
