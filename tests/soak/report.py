"""What a soak found, in numbers: the tables, and the verdict as the last line."""

import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from mnist_shared.contracts.events import AttemptLost, AttemptStarted, HandedBack
from mnist_shared.storage.events import ToldEvent
from tests.soak.checks import Findings
from tests.soak.crew import Held
from tests.soak.faults import ON_WORKERS, Fault

CLAIM_SECONDS = 0.05  # a worker may be killed between its claim's being asked for and its being told
SHOWN = 20


class Recovery(NamedTuple):
    """A run that came to a new owner."""

    kind: str  # of fault
    held: Held  # the run, and the attempt that the fault ended
    seconds: float


@dataclass
class Recoveries:
    """From a fault to the next claim of the run that it hit, seconds."""

    found: list[Recovery] = field(default_factory=list)
    num_ended: Counter[str] = field(default_factory=Counter)  # attempts that it ended, of runs cancelled since too
    unprovoked: list[Held] = field(default_factory=list)  # attempts that ended with nothing done to their workers

    def seconds(self, kind: str | None = None) -> list[float]:
        """Of one kind of fault, or of all."""
        return [one.seconds for one in self.found if kind in (None, one.kind)]


def find_recoveries(faults: Sequence[Fault], told: dict[str, list[ToldEvent]]) -> Recoveries:
    """`told`: the events of each run."""
    recoveries = Recoveries()
    for run_id, events in told.items():
        started = {
            one.event.attempt: one.milliseconds / 1000 for one in events if isinstance(one.event, AttemptStarted)
        }
        for one in events:
            if not isinstance(one.event, AttemptLost | HandedBack):
                continue
            attempt, worker = one.event.attempt, one.event.worker
            begin, end = started[attempt] - CLAIM_SECONDS, one.milliseconds / 1000
            fault = next((fault for fault in faults if fault.worker == worker and begin <= fault.at <= end), None)
            if fault is None:
                recoveries.unprovoked.append(Held(run_id, attempt))
                continue
            recoveries.num_ended[fault.kind] += 1
            if attempt + 1 in started:
                recoveries.found.append(Recovery(fault.kind, Held(run_id, attempt), started[attempt + 1] - fault.at))
    return recoveries


def print_faults(faults: Sequence[Fault], recoveries: Recoveries) -> None:
    """One line a kind; the seconds are those from the fault to the next claim of the run that it hit."""
    print(f"{'fault':<24}{'times':>6}{'attempts ended':>16}{'recovered':>11}{'median s':>10}{'worst s':>9}")
    times = Counter(fault.kind for fault in faults)
    for kind in sorted(times):
        seconds = recoveries.seconds(kind)
        ended, recovered = (recoveries.num_ended[kind], len(seconds)) if kind in ON_WORKERS else ("", "")
        print(f"{kind:<24}{times[kind]:>6}{ended:>16}{recovered:>11}{_median(seconds):>10}{_worst(seconds):>9}")
    seconds, ended = recoveries.seconds(), recoveries.num_ended.total()
    print(f"{'all':<24}{len(faults):>6}{ended:>16}{len(seconds):>11}{_median(seconds):>10}{_worst(seconds):>9}")


def print_problems(findings: Findings, others: Sequence[str]) -> None:
    lines = [f"{problem.fate}: run {problem.run_id}: {problem.text}" for problem in findings.problems] + list(others)
    for line in lines[:SHOWN]:
        print(line)
    if len(lines) > SHOWN:
        print(f"... and {len(lines) - SHOWN} more")


def give_verdict(findings: Findings, others: Sequence[str], *, folder: Path) -> int:
    """Print the last line; return the exit code that says the same."""
    fates = ("lost", "doubled", "differing")
    counts = {fate: len(findings.runs(fate)) for fate in fates}
    print("   ".join(f"{fate} {count}" for fate, count in counts.items()))
    if not findings.problems and not others:
        print("PASS")
        return 0
    bad = [f"{count} runs {fate}" for fate, count in counts.items() if count] + list(others[:3])
    print(f"logs and volume are kept in {folder}")
    print(f"FAIL: {'; '.join(bad)}")
    return 1


def machine() -> str:
    """The processor, its cores and the memory, in a line."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory_gib = psutil.virtual_memory().total / 2**30
    load = psutil.getloadavg()[0]
    return f"{name}, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()}; load before {load:.1f}"


def _median(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f}" if seconds else ""


def _worst(seconds: Sequence[float]) -> str:
    return f"{max(seconds):.1f}" if seconds else ""
