"""A worker that counts instead of training: a real Celery process, pool and run store, ready within a second.

A run of N epochs counts to N, `log_interval` milliseconds a step, and keeps its place on the volume after each step. A
run with seed 13 is poison: it kills its pool process. Usage: python -m tests.counting_worker NAME
"""

import logging
import os
import signal
import sys
import time
from pathlib import Path

from mnist_shared.contracts.events import CheckpointSaved, EpochFinished, TrainingStarted
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, RunResult, TrainResult
from mnist_shared.contracts.workers import DeviceInfo
from mnist_shared.errors import LeaseLost, VolumeError
from mnist_shared.settings import Settings
from mnist_shared.volume.run_folder import RunFolder
from mnist_worker.execution import Execution, execute
from mnist_worker.server import serve_queue
from mnist_worker.station import Station

POISON_SEED = 13
ERROR_SEED = 14
BUG_SEED = 15


class CountingPool:
    def __init__(self, station: Station, runs_dir: Path) -> None:
        self.station, self.runs_dir = station, runs_dir

    def start(self) -> None:
        time.sleep(float(os.environ.get("COUNTING_START_SECONDS", "0")))  # as one that loads torch
        if os.environ.get("COUNTING_START_FAILS"):
            raise VolumeError("The volume is full.", hint="Free space.")
        self.store = self.station.store()
        self.station.report_device(DeviceInfo(kind="cpu", name="a counter", num_threads=1), {"torch": "none"})

    def execute(self, run_id: str) -> None:
        def work(execution: Execution) -> RunResult | None:
            with self.station.busy(run_id):
                return self.count(execution)

        execute(run_id, store=self.store, worker=self.station.name, drain=self.station.drain, work=work)

    def count(self, execution: Execution) -> RunResult | None:
        grant, reporter = execution.grant, execution.reporter
        config = grant.request.config
        if config.seed == POISON_SEED:
            os.kill(os.getpid(), signal.SIGKILL)
        if config.seed == ERROR_SEED:
            raise VolumeError("The volume is full.", hint="Free space.")
        if config.seed == BUG_SEED:
            raise ZeroDivisionError("a bug\nwith a second line")
        folder = RunFolder(self.runs_dir, grant.run_id).path
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / "place"
        done = int(place.read_text()) if place.exists() else 0
        reporter.tell(
            TrainingStarted(
                dataset="digits", num_images=1, device="cpu", num_threads=1, epoch=done, epochs=config.epochs, batch=0,
                num_batches=1,
            )
        )  # fmt: skip
        for step in range(1, done + 1):  # as the trainer does: the worker before may have died with these untold
            reporter.tell(finished(step, epochs=config.epochs))
        for step in range(done + 1, config.epochs + 1):
            if execution.should_stop():
                return None
            time.sleep(config.log_interval / 1000)
            reporter.tell(finished(step, epochs=config.epochs))
            try:
                reporter.authorize()
            except LeaseLost:
                (folder / f"fenced-{grant.attempt}").touch()
                raise
            aside = folder / f"place.{grant.attempt}"
            aside.write_text(str(step))
            aside.rename(place)
            ref = CheckpointRef(
                file=f"step-{step}", epoch=step, batch=0, attempt=grant.attempt, num_bytes=1, sha256="0" * 64
            )
            reporter.tell(CheckpointSaved(checkpoint=ref))
        return TrainResult(
            epochs=config.epochs, test_loss=0.0, test_correct=1, test_total=1, test_accuracy=1.0, seconds=0.0,
            device="cpu", num_threads=1, weights_sha256="0" * 64, model_file=None,
        )  # fmt: skip


def finished(step: int, *, epochs: int) -> EpochFinished:
    metrics = EpochMetrics(
        epoch=step, train_loss=1 / step, test_loss=1 / step, test_correct=step, test_total=epochs,
        test_accuracy=step / epochs, lr=0.001, seconds=0.0, images_per_second=1.0,
    )  # fmt: skip
    return EpochFinished(epochs=epochs, metrics=metrics)


def main(name: str) -> None:
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = Settings.from_environment()
    assert settings.broker_url is not None
    station = Station(name=name, broker_url=settings.broker_url, lease_seconds=settings.lease_seconds)
    sys.exit(serve_queue(station, CountingPool(station, settings.runs_dir), keep_days=0))


if __name__ == "__main__":
    main(sys.argv[1])
