"""How long runs take, told from what earlier ones took: pure functions over records, and one bounded reader.

An estimate is in seconds from now, or None where nothing comparable has been measured.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import OnTarget, Request, ResumeRequest, VerifyRequest
from mnist_shared.contracts.runs import Priority, Progress, RunRecord, RunState, TrainResult

if TYPE_CHECKING:
    from mnist_shared.storage.runs import RunStore
    from mnist_shared.storage.workers import PresentWorker

NUM_RECORDS = 50  # latest runs looked at
NUM_QUEUED = 200  # of the queue; what is behind them gets no estimate
NUM_SAMPLES = 5  # comparable measurements of which the median is taken

# What an epoch's duration depends on, the device beside.
_COSTS = {
    "dataset",
    "network",
    "widths",
    "batch_size",
    "test_batch_size",
    "shift",
    "rotate",
    "scale",
    "ema",
    "deterministic",
    "validation_size",
}
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")  # in the order in which they are served


@dataclass(frozen=True)
class Sample:
    """What one run has measured."""

    cost: str  # equal for configurations whose epochs cost the same
    dataset: str
    preset: str
    device: str | None  # "cuda", "mps" or "cpu"; None: not known
    epoch_seconds: float


@dataclass(frozen=True)
class Paces:
    """How fast this installation's runs have been, the newest measurement first."""

    samples: Sequence[Sample] = ()
    overheads: Sequence[float] = ()  # seconds of a run beside its epochs: loading the data, writing the model
    passes: Sequence[tuple[str, str, float]] = ()  # kind of what trains nothing, data set, seconds from claim to end

    def epoch_seconds(self, config: TrainConfig, *, device: str | None = None) -> float | None:
        """An epoch of `config`: measured on the same device, else on any, else of the same preset and data set."""
        cost = _cost(config)
        alike = [sample for sample in self.samples if sample.cost == cost]
        kin = [sample for sample in self.samples if (sample.dataset, sample.preset) == (config.dataset, config.preset)]
        for samples in ([sample for sample in alike if sample.device == device] if device else [], alike, kin):
            if samples:
                return median(sample.epoch_seconds for sample in samples[:NUM_SAMPLES])
        return None

    @property
    def overhead_seconds(self) -> float:
        return median(self.overheads[:NUM_SAMPLES]) if self.overheads else 0.0

    def run_seconds(self, request: Request, *, finished_epochs: int = 0, device: str | None = None) -> float | None:
        """A whole run of `request`, from its claim to its end; `finished_epochs`: those it goes on after."""
        if not trains(request):
            return self._pass_seconds(request)
        config = request.config
        if config.dry_run:
            return self.overhead_seconds if self.overheads else None
        each = self.epoch_seconds(config, device=device)
        if each is None:
            return None
        return self.overhead_seconds + max(config.epochs - finished_epochs, 0) * each

    def _pass_seconds(self, request: Request) -> float | None:
        same = [(dataset, seconds) for kind, dataset, seconds in self.passes if kind == request.kind]
        alike = [seconds for dataset, seconds in same if dataset == request.config.dataset]
        seconds = alike or [seconds for _, seconds in same]
        return median(seconds[:NUM_SAMPLES]) if seconds else None


def trains(request: Request) -> bool:
    """Whether it takes epochs; a verification does."""
    return isinstance(request, VerifyRequest) or not isinstance(request, OnTarget)


def paces_of(records: Iterable[RunRecord], *, devices: Mapping[str, str] | None = None) -> Paces:
    """What `records` have measured, the newest first. `devices`: of the present workers, by their name."""
    samples, overheads, passes = [], [], []
    for record in {record.id: record for record in records}.values():
        request, result = record.request, record.result
        if not trains(request):
            if record.state is RunState.SUCCEEDED and record.attempt == 1 and (took := _took(record)) is not None:
                passes.append((request.kind, request.config.dataset, took))
            continue
        device = result.device if result is not None else (devices or {}).get(record.worker or "") or None
        progress = record.progress
        if progress is not None and progress.last_epoch is not None and not request.config.dry_run:
            config = request.config
            seconds = progress.last_epoch.seconds
            samples.append(Sample(_cost(config), config.dataset, config.preset, device, seconds))
        if isinstance(result, TrainResult) and record.attempt == 1 and (took := _took(record)) is not None:
            overheads.append(max(took - result.seconds, 0.0))
    return Paces(samples, overheads, passes)


def remaining_epochs_seconds(progress: Progress, config: TrainConfig, paces: Paces) -> float | None:
    """What is left of a training run: its own last epoch is the measure, then its present speed, then other runs'."""
    left = progress.epochs - progress.epoch - min(progress.batch / progress.num_batches, 1.0)
    if progress.last_epoch is not None:
        each: float | None = progress.last_epoch.seconds
    else:
        each = paces.epoch_seconds(config)
        if each is None and progress.images_per_second:
            each = progress.num_batches * config.batch_size / progress.images_per_second
    return None if each is None else max(left, 0.0) * each


def remaining_seconds(record: RunRecord, paces: Paces, *, now: datetime) -> float | None:
    """Until a running run ends; None of one that is not running. `now`: the Redis server's time."""
    if record.state is not RunState.RUNNING:
        return None
    request = record.request
    if trains(request) and record.progress is not None and not request.config.dry_run:
        return remaining_epochs_seconds(record.progress, request.config, paces)
    whole = paces.run_seconds(request)
    if whole is None:
        return None
    return max(whole - (now - (record.started_at or now)).total_seconds(), 0.0)


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of living runs, by run id, in seconds from now. A run without an estimate is not there."""

    starts: Mapping[str, float] = field(default_factory=dict)  # of queued runs: until a worker claims it
    ends: Mapping[str, float] = field(default_factory=dict)  # of running and of queued runs
    paces: Paces = Paces()
    num_workers: int = 0  # that take runs


def foresee(
    *,
    running: Sequence[RunRecord],
    queued: Sequence[RunRecord],
    blocked: Sequence[RunRecord] = (),
    paces: Paces,
    num_workers: int,
    now: datetime,
    parents: Mapping[str, RunRecord] = MappingProxyType({}),
) -> Outlook:
    """List scheduling: each queued run, in the order of the queue, starts at the worker that is free first.

    Where a run's duration is not known, there is no estimate for what comes after it on all workers. `blocked` are the
    runs that wait for another one: they start when that one has ended and those queued before them are served.
    `parents` are the runs that a resume goes on from, by id: their epochs need not be trained again.
    """
    ends: dict[str, float] = {}
    starts: dict[str, float] = {}
    unknown = float("inf")
    free = []  # a heap: when each worker is free
    for record in running:
        end = remaining_seconds(record, paces, now=now)
        if end is not None:
            ends[record.id] = end
        free.append(unknown if end is None else end)
    free += [0.0] * (num_workers - len(free))
    heapq.heapify(free)
    for record in (*queued, *blocked):
        if not free:
            break
        ready = 0.0 if record.waits_for is None else ends.get(record.waits_for, unknown)
        start = max(free[0], ready)
        if start == unknown:
            continue
        starts[record.id] = start
        whole = paces.run_seconds(record.request, finished_epochs=_finished_epochs(record, parents))
        if whole is not None:
            ends[record.id] = start + whole
        heapq.heapreplace(free, unknown if whole is None else start + whole)
    return Outlook(starts=starts, ends=ends, paces=paces, num_workers=num_workers)


def device_kinds(workers: "Iterable[PresentWorker]") -> dict[str, str]:
    """The kind of device of each worker that takes runs, by its name; "" while it still starts."""
    infos = (worker.info for worker in workers)
    return {
        info.name: info.device.kind if info.device else ""
        for info in infos
        if info.state not in ("draining", "drained")
    }


def load_outlook(
    store: "RunStore",
    *,
    devices: Mapping[str, str],
    now: datetime,
    shown: Sequence[RunRecord] = (),
    planned: RunRecord | None = None,
) -> Outlook:
    """The outlook from a bounded number of records: two round trips, some 20 ms with 200 runs queued.

    `devices`: the kind of device of each present worker that takes runs, by its name (`device_kinds`). `shown`: records
    at hand, which count too. `planned`: one that has not been
    sent, to be told when it would start.
    """
    from mnist_shared.storage.serving import read_records, read_serving

    serving = read_serving(store, num_queued=NUM_QUEUED, num_latest=NUM_RECORDS)
    known = {record.id: record for record in (*serving.running, *serving.blocked, *serving.latest, *shown)}
    queued = list(serving.queued)
    if planned is not None and planned.waits_for is not None:
        known[planned.id] = planned
        known |= read_records(store, [planned.waits_for])
    elif planned is not None and len(queued) < NUM_QUEUED:
        ahead = [
            PRIORITIES.index(record.options.priority) <= PRIORITIES.index(planned.options.priority) for record in queued
        ]
        queued.insert(sum(ahead), planned)
    paces = paces_of(sorted(known.values(), key=lambda record: record.submitted_at, reverse=True), devices=devices)
    waiting = [r for r in known.values() if r.state is RunState.QUEUED and r.waits_for is not None]
    blocked = sorted(waiting, key=lambda record: record.submitted_at)
    parents = {origin for record in (*queued, *blocked) if (origin := _origin(record.request))}
    return foresee(
        running=serving.running,
        queued=queued,
        blocked=blocked,
        paces=paces,
        num_workers=len(devices),
        now=now,
        parents=known | read_records(store, sorted(parents - known.keys())),
    )


def median(values: Iterable[float]) -> float:
    """The middle one; of two, the greater. Not of `statistics`, whose import takes as long as a command's own work."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _finished_epochs(record: RunRecord, parents: Mapping[str, RunRecord]) -> int:
    """Epochs that a queued run starts after: its own, or its parent's."""
    origin = _origin(record.request)
    if record.checkpoint is None and origin is not None:
        parent = parents.get(origin)
        return parent.checkpoint.epoch if parent is not None and parent.checkpoint is not None else 0
    return record.checkpoint.epoch if record.checkpoint is not None else 0


def _origin(request: Request) -> str | None:
    """The run that this one goes on from."""
    return request.parent if isinstance(request, ResumeRequest | VerifyRequest) else None


def _cost(config: TrainConfig) -> str:
    return config.model_dump_json(include=_COSTS)


def _took(record: RunRecord) -> float | None:
    if record.started_at is None or record.finished_at is None:
        return None
    return (record.finished_at - record.started_at).total_seconds()
