"""`--mode scale`: thousands of short runs without training, many workers, random kills; each run ends exactly once."""

import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunState
from mnist_shared.errors import BrokerUnreachable
from mnist_shared.storage.events import ToldEvent
from tests.processes import COUNTING
from tests.soak.checks import Findings, check_events
from tests.soak.crew import Crew
from tests.soak.faults import KILL_PARENT, KILL_POOL, KILL_WORKER, TERMINATE, Faults
from tests.soak.report import find_recoveries, give_verdict, machine, print_faults, print_problems
from tests.soak.stage import Stage, set_up
from tests.soak.workload import Workload

WEIGHTS = {KILL_WORKER: 3, KILL_POOL: 3, KILL_PARENT: 1, TERMINATE: 1}
PAUSE_SECONDS = (0.5, 2.5)  # between two kills
RETRY_SECONDS = 0.3  # when there was nobody to kill
NUM_STATUS_CALLS = 10
SILENT_SECONDS = 60.0  # without a run that ends: it is stuck


def soak_scale(*, num_runs: int, seconds: float, seed: int, num_workers: int, lease_seconds: float, keeps: bool) -> int:
    """Play it, print what came of it, return the exit code."""
    about = machine()
    print(f"scale: seed {seed}, {num_runs:,} runs, {num_workers} workers, lease {lease_seconds:g} s", flush=True)
    print(f"machine: {about}", flush=True)
    chance = random.Random(f"scale {seed}")
    with set_up(lease_seconds=lease_seconds, keeps=keeps) as stage, Crew(stage, COUNTING, num_workers) as crew:
        empty_bytes = _memory(stage)
        started = time.monotonic()
        run_ids = [stage.store.submit(_request(chance)).run_id for _ in range(num_runs)]
        submitted_seconds = time.monotonic() - started
        queued_bytes = _memory(stage)
        faults = Faults(stage, crew, Workload(stage, chance=chance), chance, weights=WEIGHTS)
        started = time.monotonic()
        _serve(stage, crew, faults, chance=chance, num_runs=num_runs, until=started + seconds)
        served_seconds = time.monotonic() - started
        ended_bytes = _memory(stage)
        crew.stop()
        findings, told = _check(stage, run_ids)
        others = list(crew.surprises)
        attempts = sum(stage.store.get(run_id).attempt for run_id in run_ids)
        states = Counter(stage.store.get(run_id).state for run_id in run_ids)
        status, status_json = _time_status(stage, []), _time_status(stage, ["--json"])

        print()
        print(f"runs {num_runs:,}: {', '.join(f'{count:,} {state}' for state, count in states.items())}")
        print(f"attempts {attempts:,}; workers started {crew.num_started}; given up, rightly: {len(findings.given_up)}")
        print(f"submitted {num_runs / submitted_seconds:,.0f} runs/s; served {num_runs / served_seconds:,.0f} runs/s")
        print(
            f"server memory: empty {empty_bytes / 2**20:.1f} MiB, all queued {queued_bytes / 2**20:.1f} MiB, "
            f"all ended {ended_bytes / 2**20:.1f} MiB ({(ended_bytes - empty_bytes) / num_runs / 1024:.1f} KiB a run)"
        )
        print(
            f"mnist-client status with {num_runs:,} ended runs, median of {NUM_STATUS_CALLS}: "
            f"{statistics.median(status):.0f} ms (worst {max(status):.0f}); "
            f"with --json {statistics.median(status_json):.0f} ms"
        )
        print()
        print_faults(faults.done, recoveries := find_recoveries(faults.done, told))
        print()
        if recoveries.unprovoked:
            print(f"attempts that ended with nothing done to their worker: {len(recoveries.unprovoked)}")
        print_problems(findings, others)
        code = give_verdict(findings, others, folder=stage.folder)
        if code:
            raise SystemExit(code)  # which keeps the folder
    return code


def _request(chance: random.Random) -> TrainRequest:
    return TrainRequest(
        config=TrainConfig(dataset="digits", epochs=chance.randint(1, 3), log_interval=chance.randint(1, 10))
    )


def _serve(stage: Stage, crew: Crew, faults: Faults, *, chance: random.Random, num_runs: int, until: float) -> None:
    keys = stage.store.keys
    strike_at, changed_at, left_before = time.monotonic() + 3, time.monotonic(), num_runs
    while (now := time.monotonic()) < until and not crew.is_hopeless:
        crew.tend()
        with suppress(BrokerUnreachable):
            left = stage.redis.zcard(keys.queued) + stage.redis.zcard(keys.leases)
            if left == 0:
                return
            if left != left_before:
                changed_at, left_before = now, left
            if now - changed_at > SILENT_SECONDS:
                return
            if now >= strike_at:
                strike_at = now + (chance.uniform(*PAUSE_SECONDS) if faults.strike() else RETRY_SECONDS)
        time.sleep(0.05)


def _check(stage: Stage, run_ids: Sequence[str]) -> tuple[Findings, dict[str, list[ToldEvent]]]:
    findings = Findings()
    told = {}
    for run_id in run_ids:
        record = stage.store.get(run_id)
        told[run_id] = stage.log.replay(run_id)
        if not record.state.is_final:
            findings.add("lost", run_id, f"it is still {record.state}, attempt {record.attempt}")
            continue
        check_events(told[run_id], record, findings=findings)
        epochs = sum(one.event.type == "epoch" for one in told[run_id])
        if record.state is not RunState.SUCCEEDED:
            findings.add("differing", run_id, f"it is {record.state}: {record.error}")
        elif epochs != record.request.config.epochs:
            findings.add("differing", run_id, f"{epochs} steps told of {record.request.config.epochs}")
    if unknown := stage.store.count() - len(run_ids):
        findings.add("doubled", "-", f"{unknown} runs more than were submitted")
    return findings, told


def _memory(stage: Stage) -> int:
    return int(stage.redis.info("memory")["used_memory"])


def _time_status(stage: Stage, options: list[str]) -> list[float]:
    """Milliseconds of the whole process, each time."""
    found = []
    for _ in range(NUM_STATUS_CALLS):
        started = time.perf_counter()
        subprocess.run(
            [Path(sys.executable).with_name("mnist-client"), "status", *options],
            env=stage.environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        found.append((time.perf_counter() - started) * 1000)
    return found
