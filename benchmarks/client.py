"""How long the commands take that one types most, and how soon a run begins: wall time of whole processes.

    python -m benchmarks.client [--turns 20]

On a real server with a real, idle worker, both of this script's own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import start_server
from tests.processes import TRAINING, Worker

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore

COMMAND = str(Path(sys.executable).with_name("mnist-client"))


def milliseconds(values: list[float]) -> str:
    ordered = sorted(value * 1000 for value in values)
    return f"{statistics.median(ordered):6.1f} ms (median of {len(ordered)}; {ordered[0]:.1f} to {ordered[-1]:.1f})"


def wall(arguments: list[str], environment: dict[str, str]) -> float:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = start_server(folder / "server")
        environment = os.environ | {"MNIST_BROKER_URL": server.url, "MNIST_STORAGE_DIR": str(folder / "storage")}
        redis = connect(server.url)
        store, log = RunStore(redis), EventLog(redis)
        worker = Worker("bench", environment=environment, command=TRAINING, folder=folder)
        try:
            worker.wait_until_ready(redis)
            submit_to_event(store, log, "finished")  # the first run loads the data
            for event_type, words in (("attempt_started", "claimed"), ("training_started", "the network stands")):
                times = [submit_to_event(store, log, event_type) for _ in range(turns)]
                print(f"{'submit to: ' + words:32} {milliseconds(times)}")
            worker.kill()
            for arguments in (["submit", "train"], ["status"], ["status", "last"], ["workers"], ["--help"]):
                times = [wall(arguments, environment) for _ in range(turns)]
                print(f"{'mnist-client ' + ' '.join(arguments):32} {milliseconds(times)}")
        finally:
            worker.kill()
            server.kill()


if __name__ == "__main__":
    main()
