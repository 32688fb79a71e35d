"""Real training under faults: whatever happens to worker, broker or volume, the same weights, or a clear error."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import RunRecord, RunState
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.reindex import reindex
from mnist_shared.storage.runs import RunStore
from mnist_shared.volume.run_folder import RunFolder
from tests.conftest import Server
from tests.faults.conftest import LEASE_SECONDS
from tests.processes import TRAINING, Worker, eventually, wait_for_state

CONFIG = TrainConfig(dataset="digits", epochs=4, checkpoint_every_seconds=0.2, keep_last=3, log_interval=1)
REQUEST = TrainRequest(config=CONFIG)


@pytest.fixture
def training(start_worker: Callable[..., Worker], own_server: Server) -> Callable[..., Worker]:
    """Start a training worker with the short lease."""

    def start(name: str, **extra: str) -> Worker:
        return start_worker(name, own_server, command=TRAINING, MNIST_LEASE_SECONDS=str(LEASE_SECONDS), **extra)

    return start


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[str], RunFolder]:
    return lambda run_id: RunFolder(tmp_path / "storage" / "runs", run_id)


def history(log: EventLog, run_id: str) -> list[dict[str, object]]:
    """The epochs as told, without what is a matter of the clock."""
    told = [told.event for told in log.replay(run_id) if isinstance(told.event, EpochFinished)]
    return [event.metrics.model_dump(exclude={"seconds", "images_per_second"}) for event in told]


def essence(record: RunRecord) -> dict[str, object]:
    assert record.result, record.error
    return record.result.model_dump(exclude={"seconds"})


def damage(file: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_weights_history_and_result_are_the_same_however_often_the_worker_was_killed(
    training: Callable[..., Worker], store: RunStore, log: EventLog, redis: Redis, folder_of: Callable[[str], RunFolder]
) -> None:
    worker = training("worker-0").wait_until_ready(redis)
    undisturbed = wait_for_state(store, store.submit(REQUEST).run_id)
    assert undisturbed.state is RunState.SUCCEEDED, undisturbed.error

    run_id = store.submit(REQUEST).run_id
    for number, kill in enumerate([signal.SIGKILL, signal.SIGTERM, signal.SIGKILL], start=1):
        successor = training(f"worker-{number}")  # loads torch meanwhile
        before = store.get(run_id).checkpoint
        eventually(lambda before=before: store.get(run_id).checkpoint != before, what="a new checkpoint")
        if number == 3:  # and the newest checkpoint is damaged as well
            worker.kill()
            newest = store.get(run_id).checkpoint
            assert newest
            damage(folder_of(run_id).checkpoints / newest.file)
        elif kill == signal.SIGKILL:
            worker.kill()
        else:
            worker.process.terminate()
        worker = successor.wait_until_ready(redis)
    record = wait_for_state(store, run_id, seconds=100)
    assert record.attempt == 4, [str(told.event)[:150] for told in log.replay(run_id)]
    assert essence(record) == essence(undisturbed)
    assert history(log, run_id) == history(log, undisturbed.id)
    told = [told.event.type for told in log.replay(run_id)]
    assert told.count("checkpoint_rejected") == 1
    assert (told.count("finished"), told[-1]) == (1, "finished")
    assert told.count("environment") == 4
    lines = folder_of(run_id).log_file.read_text().splitlines()
    for attempt, end in enumerate(("", "handed back", "", "done"), start=1):
        its = [line for line in lines if f" attempt {attempt}: " in line]
        assert end in its[-1], its
    assert record.result
    assert record.result.kind == "train"
    assert re.fullmatch("[0-9a-f]{64}", record.result.dataset_sha256 or "")

    # A child that trains on, and an evaluation, see the same.
    longer = CONFIG.model_copy(update={"epochs": 5})
    children = [store.submit(ResumeRequest(parent=parent, config=longer)).run_id for parent in (run_id, undisturbed.id)]
    first, second = (essence(wait_for_state(store, child)) for child in children)
    assert first == second
    evaluation = wait_for_state(store, store.submit(EvaluateRequest(target=run_id, config=CONFIG)).run_id).result
    assert evaluation
    assert evaluation.kind == "evaluate"
    assert (evaluation.correct, evaluation.total) == (record.result.test_correct, record.result.test_total)

    # The archive on the volume brings all of it back.
    before = {record.id: (record.state, record.result) for record in store.latest(10)}
    redis.flushall()
    found = reindex(store, folder_of(run_id).runs_dir)
    assert (sorted(found.restored), found.unreadable) == (sorted(before), {})
    assert {record.id: (record.state, record.result) for record in store.latest(10)} == before


def test_a_frozen_trainer_writes_no_checkpoint_when_it_thaws(
    training: Callable[..., Worker], store: RunStore, redis: Redis, folder_of: Callable[[str], RunFolder]
) -> None:
    frozen, other = training("worker-1").wait_until_ready(redis), training("worker-2")
    run_id = store.submit(TrainRequest(config=CONFIG.model_copy(update={"epochs": 12}))).run_id
    eventually(lambda: store.get(run_id).checkpoint, what="a first checkpoint")
    owner = store.get(run_id).worker
    frozen, other = (frozen, other) if owner == "worker-1" else (other, frozen)
    other.wait_until_ready(redis)
    frozen.signal_all(signal.SIGSTOP)
    eventually(lambda: store.get(run_id).attempt == 2, what="recovery")
    names = set(os.listdir(folder_of(run_id).checkpoints))
    frozen.signal_all(signal.SIGCONT)
    record = wait_for_state(store, run_id, seconds=100)
    assert record.state is RunState.SUCCEEDED, record.error
    new = set(os.listdir(folder_of(run_id).checkpoints)) - names
    assert new
    assert all("-a0002" in name for name in new)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 40 MB: room for two checkpoints of 14.4 MB."""
    volume = tmp_path / "storage"
    volume.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(volume)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small volume needs root")
    yield volume
    subprocess.run(["umount", "-l", str(volume)], check=True)


def test_a_full_or_read_only_volume_fails_the_run_and_keeps_what_is_there(
    training: Callable[..., Worker], store: RunStore, redis: Redis, small_volume: Path
) -> None:
    training("worker-1").wait_until_ready(redis)
    config = CONFIG.model_copy(update={"checkpoint_every_seconds": 0.0, "keep_last": 10})
    full = wait_for_state(store, store.submit(TrainRequest(config=config)).run_id)
    assert full.state is RunState.FAILED
    assert full.error
    assert full.error.kind == "VolumeError"
    assert full.checkpoint
    kept = RunFolder(small_volume / "runs", full.id).checkpoints / full.checkpoint.file
    assert kept.stat().st_size == full.checkpoint.num_bytes

    subprocess.run(["mount", "-o", "remount,ro", str(small_volume)], check=True)
    read_only = wait_for_state(store, store.submit(REQUEST).run_id)
    assert read_only.error
    assert read_only.error.kind == "VolumeError"

    subprocess.run(["mount", "-o", "remount,rw,size=100m", str(small_volume)], check=True)
    resumed = wait_for_state(store, store.submit(ResumeRequest(parent=full.id, config=CONFIG)).run_id)
    assert resumed.state is RunState.SUCCEEDED, resumed.error


def test_a_run_goes_on_while_the_server_is_away_for_longer_than_a_lease(
    training: Callable[..., Worker], store: RunStore, log: EventLog, redis: Redis, own_server: Server
) -> None:
    training("worker-1").wait_until_ready(redis)
    run_id = store.submit(TrainRequest(config=CONFIG.model_copy(update={"epochs": 6}))).run_id
    eventually(lambda: store.get(run_id).checkpoint, what="a first checkpoint")
    time.sleep(1.2)  # AOF everysec
    own_server.kill()
    time.sleep(LEASE_SECONDS * 1.5)
    own_server.start()
    record = wait_for_state(store, run_id, seconds=100)
    assert (record.state, record.attempt) == (RunState.SUCCEEDED, 1), record.error
    assert [metrics["epoch"] for metrics in history(log, run_id)] == [1, 2, 3, 4, 5, 6]
