"""What is submitted: training runs of a few configurations, children that train on, evaluations; and what they owe."""

import random
import time
from dataclasses import dataclass, field
from typing import Any

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished
from mnist_shared.contracts.names import new_run_id
from mnist_shared.contracts.requests import EvaluateRequest, Request, ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import Priority, RunResult, RunState, SubmitOptions
from mnist_shared.storage.events import ToldEvent
from mnist_shared.volume.manifests import list_checkpoints
from tests.processes import wait_for_state
from tests.soak.stage import Stage

BASE = TrainConfig(dataset="digits", epochs=2, checkpoint_every_seconds=0.2, log_interval=5)
CONFIGS = {
    "base": BASE,
    "longer": BASE.model_copy(update={"epochs": 4, "seed": 2}),
    "small batches": BASE.model_copy(update={"batch_size": 32, "seed": 3}),
    "every epoch": BASE.model_copy(update={"checkpoint_every_seconds": 0.0, "seed": 4, "keep_last": 3}),
    "held out": BASE.model_copy(update={"epochs": 3, "validation_size": 200, "seed": 5, "lr": 0.003, "gamma": 0.9}),
}
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
TOO_LONG_SECONDS = 120.0  # an undisturbed run takes seconds

History = list[dict[str, Any]]


@dataclass(frozen=True)
class Reference:
    """What the undisturbed run of the same kind and configuration came to."""

    result: dict[str, Any]
    history: History


@dataclass
class Submitted:
    """A run as the client knows it."""

    run_id: str
    kind: str  # "train", "continued" (the child of a cancelled run), "longer" (of a finished one), "evaluate"
    config: str
    parent: str | None = None
    is_acknowledged: bool = False
    cancel_answers: list[str] = field(default_factory=list)
    state: RunState | None = None
    ended_at: float | None = None  # when that was seen, by the monotonic clock
    is_tidied: bool = False  # its volume was checked, and its checkpoints are gone

    @property
    def reference_key(self) -> tuple[str, str]:
        return ("train" if self.kind == "continued" else self.kind, self.config)


def longer(config: TrainConfig) -> TrainConfig:
    return config.model_copy(update={"epochs": config.epochs + 1})


def history_of(told: list[ToldEvent]) -> History:
    """The epochs as told, without what is a matter of the clock."""
    events = [one.event for one in told if isinstance(one.event, EpochFinished)]
    return [event.metrics.model_dump(exclude={"seconds", "images_per_second"}) for event in events]


def essence(result: RunResult) -> dict[str, Any]:
    """A result without what may differ: the time it took, and for an evaluation whose checkpoint it was."""
    return result.model_dump(exclude={"seconds", "target", "checkpoint"})


class Workload:
    """Submits, cancels, and knows what it did."""

    def __init__(self, stage: Stage, *, chance: random.Random) -> None:
        self.stage, self.chance = stage, chance
        self.runs: dict[str, Submitted] = {}
        self.references: dict[tuple[str, str], Reference] = {}

    def measure_references(self) -> None:
        """Let one of each kind and configuration run undisturbed."""
        trained = {name: self._submit("train", name) for name in CONFIGS}
        for run in trained.values():
            self._keep_reference(run)
        children = [
            self._submit(kind, name, parent=run.run_id)
            for name, run in trained.items()
            for kind in ("longer", "evaluate")
        ]
        for child in children:
            self._keep_reference(child)

    def submit_something(self) -> Submitted:
        """One more run: mostly a training, else a child or an evaluation of one that has ended."""
        kind = self.chance.choices(("train", "longer", "continued", "evaluate"), weights=(6, 1, 2, 1))[0]
        parents = [run for run in self.runs.values() if self._can_be_parent(run, kind)]
        if not parents:
            return self._submit("train", self.chance.choice(list(CONFIGS)))
        parent = self.chance.choice(parents)
        return self._submit(kind, parent.config, parent=parent.run_id)

    def cancel_something(self, *, force: bool) -> bool:
        """Cancel one of the runs that have not ended; false when there is none."""
        open_runs = self.open_runs()
        if not open_runs:
            return False
        run = self.chance.choice(open_runs)
        run.cancel_answers.append(self.stage.store.cancel(run.run_id, force=force))
        return True

    def look(self) -> None:
        """Note which runs have ended."""
        open_runs = self.open_runs()
        pipeline = self.stage.redis.pipeline(transaction=False)
        for run in open_runs:
            pipeline.hget(self.stage.store.keys.run(run.run_id), "state")
        for run, state in zip(open_runs, pipeline.execute(), strict=True):
            if state is not None:
                run.state = RunState(state)
                run.ended_at = time.monotonic() if run.state.is_final else None

    def open_runs(self) -> list[Submitted]:
        return [run for run in self.runs.values() if run.state is None or not run.state.is_final]

    def has_open_children(self, run_id: str) -> bool:
        return any(run.parent == run_id for run in self.open_runs())

    # ---- inside ------------------------------------------------------------------------------------------------

    def _submit(self, kind: str, config: str, *, parent: str | None = None) -> Submitted:
        run = Submitted(new_run_id(), kind, config, parent)
        self.runs[run.run_id] = run
        options = SubmitOptions(priority=PRIORITIES[len(self.runs) % len(PRIORITIES)])
        # The same id each time: when an answer is lost, the connection asks again and it is submitted once.
        self.stage.store.submit(_request(kind, config, parent), run_id=run.run_id, options=options)
        run.is_acknowledged = True
        return run

    def _can_be_parent(self, run: Submitted, kind: str) -> bool:
        if kind == "train" or run.is_tidied or run.kind not in ("train", "continued"):
            return False
        if kind != "continued":
            return run.state is RunState.SUCCEEDED
        if run.state is not RunState.CANCELLED or run.kind != "train" or run.run_id in self._continued():
            return False
        # Off the disk, where there may be one that the record does not tell of; and not before its owner has noticed.
        checkpoints = list_checkpoints(self.stage.run_folder(run.run_id).checkpoints)
        has_settled = run.ended_at is not None and time.monotonic() - run.ended_at > self.stage.lease_seconds
        return has_settled and bool(checkpoints) and checkpoints[0].epoch < CONFIGS[run.config].epochs

    def _continued(self) -> set[str | None]:
        return {run.parent for run in self.runs.values() if run.kind == "continued"}

    def _keep_reference(self, run: Submitted) -> None:
        record = wait_for_state(self.stage.store, run.run_id, seconds=TOO_LONG_SECONDS)
        assert record.result is not None, f"undisturbed run {run.run_id} ({run.kind}, {run.config}): {record.error}"
        assert record.attempt == 1, f"undisturbed run {run.run_id} took {record.attempt} attempts"
        self.references[run.reference_key] = Reference(
            essence(record.result), history_of(self.stage.log.replay(run.run_id))
        )


def _request(kind: str, config: str, parent: str | None) -> Request:
    if kind == "train":
        return TrainRequest(config=CONFIGS[config])
    assert parent is not None
    if kind == "evaluate":
        return EvaluateRequest(target=parent, config=CONFIGS[config])
    return ResumeRequest(parent=parent, config=longer(CONFIGS[config]) if kind == "longer" else CONFIGS[config])
