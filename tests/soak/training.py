"""`--mode train`: real training runs under every fault there is, each compared with its undisturbed twin."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from mnist_shared.contracts.events import CheckpointRejected
from mnist_shared.contracts.runs import RunState
from mnist_shared.errors import BrokerUnreachable
from mnist_worker.reaper import WORDS
from tests.processes import TRAINING
from tests.soak.checks import Findings, check_record, check_volume
from tests.soak.crew import Crew
from tests.soak.faults import KILL_SERVER, Faults
from tests.soak.report import find_recoveries, give_verdict, machine, print_faults, print_problems
from tests.soak.stage import Stage, set_up
from tests.soak.workload import Submitted, Workload

TICK_SECONDS = 0.05
SLOW_SECONDS = 20.0  # what is promised, with a lease of 15 s
RETRY_SECONDS = 0.5  # when there was nobody to strike
PAUSE_SECONDS = (0.5, 4.0)  # between two faults
SETTLE_SECONDS = 180.0  # at most, after the last fault
RESERVED_SECONDS = 30.0  # of the time, for the runs that are under way at the end of the faults

T = TypeVar("T")


class Soak:
    """A soak of real training under way."""

    def __init__(self, stage: Stage, crew: Crew, *, seed: int) -> None:
        # One source of chance for what is submitted and one for the faults: the same seed makes the same
        # choices, although among other circumstances: the processes run as they please.
        self.stage, self.crew = stage, crew
        self.workload = Workload(stage, chance=random.Random(f"runs {seed}"))
        self.faults = Faults(stage, crew, self.workload, random.Random(f"faults {seed}"))
        self.findings = Findings()
        self.others: list[str] = []
        self._pause = random.Random(f"pauses {seed}")
        self._look_at = 0.0
        self._tidied: dict[str, set[str]] = {}  # run -> what its folder held when its checkpoints were removed

    def go_on(self, *, until: float) -> None:
        """Submit and strike until the monotonic clock says `until`."""
        strike_at = time.monotonic()
        while time.monotonic() < until and not self.crew.is_hopeless:
            self.crew.tend()
            self._try(self._keep_busy)
            if time.monotonic() >= strike_at:
                struck = self._try(self.faults.strike)
                strike_at = time.monotonic() + (self._pause.uniform(*PAUSE_SECONDS) if struck else RETRY_SECONDS)
            time.sleep(TICK_SECONDS)

    def settle(self) -> float:
        """No more faults: wait until every run has ended, or no longer; return the seconds it took."""
        started = time.monotonic()
        while time.monotonic() < started + SETTLE_SECONDS and not self.crew.is_hopeless:
            self.crew.tend()
            self._try(self._look)
            if not self.workload.open_runs() and not any(member.frozen for member in self.crew.members):
                break
            time.sleep(TICK_SECONDS)
        return time.monotonic() - started

    def check(self) -> None:
        for run in self.workload.runs.values():
            check_record(run, self.workload.references[run.reference_key], stage=self.stage, findings=self.findings)
            listing = self._tidied.get(run.run_id)
            if listing is None:
                self._check_volume(run)
            elif listing != self._listing(run):
                self.findings.add("doubled", run.run_id, f"written to after its end: {self._listing(run) - listing}")
        strange = {path.name for path in self.stage.runs_dir.iterdir()} - set(self.workload.runs)
        self.others += [f"a folder of no run: {name}" for name in sorted(strange)]
        self.others += self.crew.surprises

    # ---- inside ------------------------------------------------------------------------------------------------

    def _keep_busy(self) -> None:
        self._look()
        if len(self.workload.open_runs()) < self.crew.size + 3:
            self.workload.submit_something()

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + 0.3
        self.workload.look()
        # A checkpoint takes 14.4 MB, a soak makes thousands: those of ended runs are checked and go, once the longest
        # sleeper has thawed and tried its luck.
        for run in self.workload.runs.values():
            long_ended = run.ended_at and time.monotonic() - run.ended_at > 5 * self.stage.lease_seconds
            if long_ended and not run.is_tidied and not self.workload.has_open_children(run.run_id):
                self._tidy(run)

    def _tidy(self, run: Submitted) -> None:
        run.is_tidied = True
        self._check_volume(run)
        folder = self.stage.run_folder(run.run_id)
        for file in (*folder.checkpoints.glob("*.pt"), folder.model):
            file.unlink(missing_ok=True)
        self._tidied[run.run_id] = self._listing(run)

    def _listing(self, run: Submitted) -> set[str]:
        return {str(path) for path in self.stage.run_folder(run.run_id).path.rglob("*")}

    def _check_volume(self, run: Submitted) -> None:
        damaged = self.faults.damaged.get(run.run_id)
        check_volume(run, stage=self.stage, damaged=damaged, findings=self.findings)

    @staticmethod
    def _try(action: Callable[[], T]) -> T | None:
        try:
            return action()
        except BrokerUnreachable:
            return None  # its connections were cut a moment ago; the next round comes


def soak_training(*, seconds: float, seed: int, num_workers: int, lease_seconds: float, keeps: bool) -> int:
    """Play it, print what came of it, return the exit code."""
    about = machine()
    print(f"soak: seed {seed}, {seconds:g} s, {num_workers} workers of 1 thread, lease {lease_seconds:g} s", flush=True)
    print(f"machine: {about}", flush=True)
    started = time.monotonic()
    with set_up(lease_seconds=lease_seconds, keeps=keeps) as stage, Crew(stage, TRAINING, num_workers) as crew:
        soak = Soak(stage, crew, seed=seed)
        crew.tend()
        for member in crew.members:
            member.worker.wait_until_ready(stage.redis)
        soak.workload.measure_references()
        print(f"undisturbed: {len(soak.workload.references)} runs in {time.monotonic() - started:.0f} s", flush=True)
        soak.go_on(until=started + seconds - min(RESERVED_SECONDS, seconds / 4))
        print(f"{len(soak.faults.done)} faults; waiting for {len(soak.workload.open_runs())} runs to end", flush=True)
        settled = soak.settle()
        crew.stop()
        soak.check()
        code = _print(soak, settled=settled, seconds=time.monotonic() - started)
        if code:
            raise SystemExit(code)  # which keeps the folder
    return code


def _print(soak: Soak, *, settled: float, seconds: float) -> int:
    workload, log = soak.workload, soak.stage.log
    told = {run_id: log.replay(run_id) for run_id in workload.runs}
    records = [soak.stage.store.get(run_id) for run_id in workload.runs if told[run_id]]
    kinds, states = Counter(run.kind for run in workload.runs.values()), Counter(record.state for record in records)
    recoveries = find_recoveries(soak.faults.done, told)
    rejected = sum(isinstance(one.event, CheckpointRejected) for events in told.values() for one in events)
    print()
    print(f"runs {len(workload.runs)}: {_list(kinds)}")
    print(f"ended: {_list(states)}; given up after 5 attempts, rightly: {len(soak.findings.given_up)}")
    print(
        f"attempts {sum(record.attempt for record in records)} (most {max(record.attempt for record in records)}); "
        f"workers started {soak.crew.num_started}; settled in {settled:.0f} s; {seconds:.0f} s in all"
    )
    print(
        f"epochs told {sum(one.event.type == 'epoch' for events in told.values() for one in events)}, "
        f"checkpoints {sum(one.event.type == 'checkpoint_saved' for events in told.values() for one in events)}, "
        f"passed over as damaged {rejected}, temporary files of killed attempts left {soak.findings.num_leftovers}"
    )
    compared = sum(record.state is RunState.SUCCEEDED for record in records)
    print(f"compared with the undisturbed run, bit for bit: {compared} results, {len(records)} histories")
    print(f"submissions acknowledged in the moment of a server kill: {soak.faults.counts[KILL_SERVER]}")
    print()
    print_faults(soak.faults.done, recoveries)
    print()
    if recoveries.unprovoked:
        print(f"attempts that ended with nothing done to their worker: {len(recoveries.unprovoked)}")
        for held in recoveries.unprovoked[:10]:
            print(f"  run {held.run_id}, attempt {held.attempt}")
    if slow := [one for one in recoveries.found if one.seconds > SLOW_SECONDS]:
        print(f"recoveries that took more than {SLOW_SECONDS:g} s: {len(slow)}")
        for one in slow[:10]:
            print(f"  run {one.held.run_id}, attempt {one.held.attempt}, {one.kind}: {one.seconds:.1f} s")
    for line, count in _complaints(soak.stage).most_common(12):
        print(f"in the workers' logs {count} times: {line}")
    print_problems(soak.findings, soak.others)
    return give_verdict(soak.findings, soak.others, folder=soak.stage.folder)


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _complaints(stage: Stage) -> Counter[str]:
    """The last lines of the tracebacks in the workers' logs, with their numbers taken out."""
    found: Counter[str] = Counter()
    for file in stage.folder.glob("worker-*.log"):
        in_traceback = False
        for line in file.read_text(errors="replace").splitlines():
            if line.startswith("Traceback (most recent call last)"):
                in_traceback = True
            elif in_traceback and line and not line.startswith((" ", "\t")):
                found[re.sub(r"\d+", "N", line)[:160]] += 1
                in_traceback = False
            elif line.endswith(WORDS["woken"]):
                found[f"mnist_worker.reaper: run N: {WORDS['woken']}"] += 1
            elif " ERROR " in line:
                found[re.sub(r"[0-9a-f]{12}|\d+", "N", line.partition(" ERROR ")[2])[:160]] += 1
    return found
