"""The look at every run: what its record, its events and its folder say, against each other and the undisturbed run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mnist_shared.contracts.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    CancelRequested,
    CheckpointSaved,
    EpochFinished,
    Finished,
    HandedBack,
    Submitted,
)
from mnist_shared.contracts.runs import RunRecord, RunState
from mnist_shared.errors import ContractError, RunNotFound
from mnist_shared.storage.archive import read_archive
from mnist_shared.storage.events import ToldEvent
from mnist_shared.storage.runs import MAX_ATTEMPTS
from mnist_shared.volume.manifests import checkpoint_names, parse_name, read_manifest
from mnist_shared.volume.run_folder import RunFolder
from tests.soak import workload
from tests.soak.stage import Stage
from tests.soak.workload import History, Reference, history_of

# Between the question whether one may commit and the rename lies no time to speak of; a thawed worker has seconds.
# In a run's folder.
KNOWN_NAMES = {"run.json", "events.jsonl", "worker.log", "checkpoints", "mnist_cnn.pt", "tensorboard", "evaluation"}
LATE_SECONDS = 0.5

Fate = Literal["lost", "doubled", "differing"]


@dataclass(frozen=True)
class Problem:
    fate: Fate
    run_id: str
    text: str


@dataclass
class Findings:
    problems: list[Problem] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)  # failed after MAX_ATTEMPTS, and rightly so
    num_leftovers: int = 0  # temporary files of killed attempts: untidy, but nobody's checkpoint

    def add(self, fate: Fate, run_id: str, text: str) -> None:
        self.problems.append(Problem(fate, run_id, text))

    def runs(self, fate: Fate) -> set[str]:
        return {problem.run_id for problem in self.problems if problem.fate == fate}


def check_record(run: workload.Submitted, reference: Reference, *, stage: Stage, findings: Findings) -> None:
    """Final state, event order, and equality with the undisturbed run."""
    try:
        record = stage.store.get(run.run_id)
    except RunNotFound:
        if run.is_acknowledged:
            findings.add("lost", run.run_id, "its record is gone, although its submission was acknowledged")
        return
    told = stage.log.replay(run.run_id)
    if not record.state.is_final:
        findings.add("lost", run.run_id, f"it is still {record.state}, attempt {record.attempt}")
        return
    check_events(told, record, findings=findings)
    if "cancelled" in run.cancel_answers and record.state is not RunState.CANCELLED:
        findings.add("differing", run.run_id, f"a client was told that it is cancelled, and it is {record.state}")
    if record.state is RunState.CANCELLED and not set(run.cancel_answers) & {"cancelled", "requested"}:
        findings.add("differing", run.run_id, "it is cancelled, and nobody asked for that")
    if record.state is RunState.FAILED:
        if _was_given_up(told):
            findings.given_up.add(run.run_id)
        else:
            error = f"{record.error.kind}: {record.error.message}" if record.error else "no error kept"
            findings.add("differing", run.run_id, f"it failed: {error}")
    if record.state is RunState.SUCCEEDED and (record.result is None or not _is_equal(record, reference)):
        findings.add("differing", run.run_id, f"result {record.result} is not that of the undisturbed run")
    if not _is_part(history_of(told), reference.history, of=run, state=record.state):
        findings.add("differing", run.run_id, f"its history ({len(told)} events) is not that of the undisturbed run")


def check_events(told: Sequence[ToldEvent], record: RunRecord, *, findings: Findings) -> None:
    """One submission, attempts one after the other, each epoch once and in order, one end; as the record has it."""
    run_id = record.id
    types = [one.event.type for one in told]
    if not types or types[0] != "submitted" or types.count("submitted") != 1:
        findings.add("differing", run_id, f"its events begin with {types[:2]}")
    if types.count("finished") > 1:
        findings.add("doubled", run_id, f"{types.count('finished')} finished events")
    last = told[-1].event if told else None
    if not isinstance(last, Finished):
        findings.add("doubled" if "finished" in types else "lost", run_id, f"its last event is {types[-1:]}")
        return
    epochs = [one.event.metrics.epoch for one in told if isinstance(one.event, EpochFinished)]
    if len(set(epochs)) != len(epochs):
        findings.add("doubled", run_id, f"epochs told: {epochs}")
    elif epochs and epochs != list(range(epochs[0], epochs[0] + len(epochs))):
        findings.add("differing", run_id, f"epochs told: {epochs}")
    _check_attempts(told, record, findings=findings)
    if (last.state, last.result) != (record.state, record.result):
        findings.add("differing", run_id, f"its last event says {last.state}, {last.result}; its record something else")
    if last.state is RunState.FAILED and last.error != record.error:
        findings.add("differing", run_id, "its last event and its record have different errors")


def _check_attempts(told: Sequence[ToldEvent], record: RunRecord, *, findings: Findings) -> None:
    """What an attempt tells stands between its start and its end; stale attempts tell nothing."""
    newest, at_work = 0, False
    files: set[str] = set()
    for one in told:
        event = one.event
        match event:
            case AttemptStarted():
                if at_work or event.attempt != newest + 1:
                    findings.add("doubled", record.id, f"attempt {event.attempt} starts after attempt {newest}")
                newest, at_work = event.attempt, True
            case AttemptLost() | HandedBack() | AttemptFailed():
                if not at_work or event.attempt != newest:
                    findings.add("doubled", record.id, f"attempt {event.attempt} ends during attempt {newest}")
                at_work = False
            case Submitted() | CancelRequested() | Finished():
                pass
            case _:
                if not at_work:
                    findings.add("doubled", record.id, f"{event.type} told while nobody owned the run")
        if isinstance(event, CheckpointSaved):
            if event.checkpoint.attempt != newest or event.checkpoint.file in files:
                findings.add("doubled", record.id, f"{event.checkpoint.file} told during attempt {newest}")
            files.add(event.checkpoint.file)
    if newest != record.attempt:
        findings.add("differing", record.id, f"{newest} attempts told, {record.attempt} in the record")


def check_volume(run: workload.Submitted, *, stage: Stage, damaged: str | None, findings: Findings) -> None:
    """The run's folder: its own files and nothing else, whole, and none written by an attempt after its end."""
    folder = stage.run_folder(run.run_id)
    if not folder.path.exists():
        return  # cancelled before its first attempt; what succeeded is checked by its files
    try:
        record, told = stage.store.get(run.run_id), stage.log.replay(run.run_id)
    except RunNotFound:
        return  # `check_record` says so
    _check_names(folder, findings=findings)
    refs = {one.event.checkpoint.file: one.event.checkpoint for one in told if isinstance(one.event, CheckpointSaved)}
    lost_at = {one.event.attempt: one.milliseconds / 1000 for one in told if isinstance(one.event, AttemptLost)}
    for name in checkpoint_names(folder.checkpoints):
        file = folder.checkpoints / name.file
        if name.attempt > record.attempt:
            findings.add("doubled", run.run_id, f"{name.file} is of an attempt that was never told")
        try:
            ref = read_manifest(folder.checkpoints, name)
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
        except (ContractError, OSError) as error:
            findings.add("differing", run.run_id, f"{name.file} is damaged: {error}")
            continue
        if name.file in refs and refs[name.file] != ref:
            findings.add("differing", run.run_id, f"{name.file} is not the one that was told")
        if name.file == damaged:
            continue
        if digest != ref.sha256:
            findings.add("differing", run.run_id, f"{name.file} is not what its manifest says")
        late = file.stat().st_ctime - lost_at.get(name.attempt, float("inf"))
        if late > LATE_SECONDS:
            findings.add("doubled", run.run_id, f"{name.file} was committed {late:.1f} s after its attempt was lost")
    if record.state is RunState.SUCCEEDED:
        _check_archive(folder, record, told, findings=findings)


def _check_names(folder: RunFolder, *, findings: Findings) -> None:
    for path in folder.path.iterdir():
        if path.name.endswith(".tmp") or path.name.startswith((".run.json.a", ".events.jsonl.a")):
            findings.num_leftovers += 1
        elif path.name not in KNOWN_NAMES:
            findings.add("differing", folder.run_id, f"its folder holds {path.name}")
    for path in folder.checkpoints.iterdir() if folder.checkpoints.exists() else ():
        if path.name.endswith(".tmp") or (path.suffix == ".pt" and not path.with_suffix(".json").exists()):
            findings.num_leftovers += 1
        elif parse_name(path.name) is None:
            findings.add("differing", folder.run_id, f"its checkpoints folder holds {path.name}")


def _check_archive(folder: RunFolder, record: RunRecord, told: Sequence[ToldEvent], *, findings: Findings) -> None:
    """What `reindex` would make of the folder, and the weights that a user takes out of it."""
    try:
        archive = read_archive(folder)
    except (ContractError, OSError) as error:
        findings.add("differing", record.id, f"its archive cannot be read: {error}")
        return
    if archive.run_file.request != record.request:
        findings.add("differing", record.id, "its run.json has another request")
    if [one.event for one in archive.events] != [one.event for one in told]:
        findings.add("differing", record.id, "its events.jsonl and its stream differ")
    result = record.result
    if result is None or result.kind != "train":
        return
    import torch

    from mnist_shared.training.digests import weights_sha256

    if weights_sha256(torch.load(folder.model, weights_only=True)) != result.weights_sha256:
        findings.add("differing", record.id, "the weights in mnist_cnn.pt are not those of the result")


def _is_part(history: History, whole: History, *, of: workload.Submitted, state: RunState) -> bool:
    """Whether a run's epochs are the undisturbed run's: to the last one if it succeeded, from the first one unless it
    went on where a cancelled run had stopped.
    """
    last = len(whole) if state is RunState.SUCCEEDED else None
    starts = range(len(whole) + 1) if of.kind == "continued" else [0]
    return any(
        whole[start : start + len(history)] == history and last in (None, start + len(history)) for start in starts
    )


def _is_equal(record: RunRecord, reference: Reference) -> bool:
    return record.result is not None and workload.essence(record.result) == reference.result


def _was_given_up(told: Sequence[ToldEvent]) -> bool:
    """Whether MAX_ATTEMPTS were lost since the last new checkpoint."""
    lost = 0
    for one in told:
        if isinstance(one.event, CheckpointSaved):
            lost = 0
        lost += isinstance(one.event, AttemptLost)
    return lost >= MAX_ATTEMPTS
