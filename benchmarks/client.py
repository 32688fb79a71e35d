"""How long the commands take that one types most, and how soon a run begins: wall time of whole processes.

    python -m benchmarks.client [--turns 20]

On a real server with a real, idle worker, both of this script's own.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.processes import TRAINING, Worker

from benchmarks.report import SPREAD, Table, show, spread
from benchmarks.stage import stage
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore

COMMAND = str(Path(sys.executable).with_name("mnist-client"))
COMMANDS = (("submit", "train"), ("status",), ("status", "last"), ("workers",), ("--help",))
BEGINNINGS = {"attempt_started": "a worker has claimed it", "training_started": "the network stands"}


def wall(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([COMMAND, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def submit_to_event(store: RunStore, log: EventLog, event_type: str) -> float:
    """Seconds from a submission to the first event of that type."""
    started = time.perf_counter()
    run_id = store.submit(TrainRequest(config=TrainConfig(dataset="digits", dry_run=True))).run_id
    reached = 0.0
    for told in log.follow(run_id):
        if told and told.event.type == event_type and not reached:
            reached = time.perf_counter() - started
    return reached


def measure(*, turns: int = 20) -> list[Table]:
    """Two tables; about a minute on two cores."""
    begins, commands = [], []
    with stage() as on:
        environment = on.environment(0)
        redis = connect(on.url(0))
        store, log = RunStore(redis), EventLog(redis)
        worker = Worker("bench", environment=environment, command=TRAINING, folder=on.folder)
        try:
            worker.wait_until_ready(redis)
            submit_to_event(store, log, "finished")  # the first run loads the data
            for event_type, words in BEGINNINGS.items():
                times = [submit_to_event(store, log, event_type) for _ in range(turns)]
                begins.append((words, *spread(times, scale=1000)))
        finally:
            worker.kill()
        seconds: dict[tuple[str, ...], list[float]] = {arguments: [] for arguments in COMMANDS}
        for _ in range(turns):
            for arguments in COMMANDS:
                seconds[arguments].append(wall(arguments, environment))
        for arguments, times in seconds.items():
            commands.append((f"mnist-client {' '.join(arguments)}", *spread(times, scale=1000)))
    return [
        Table("From the submission, ms", ("until", *SPREAD), begins, ["A warm worker; digits, a dry run."]),
        Table("Commands, ms", ("command", *SPREAD), commands, ["Wall time of the process; the commands take turns."]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    show(measure(turns=parser.parse_args().turns))


if __name__ == "__main__":
    main()
