"""A real worker process, with runs that only count, on a real server."""

import base64
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunState
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.conftest import Server
from tests.counting_worker import BUG_SEED, ERROR_SEED
from tests.processes import Worker, eventually, wait_for_state


def count_to(steps: int, *, milliseconds: int = 1, seed: int = 1) -> TrainRequest:
    return TrainRequest(config=TrainConfig(dataset="digits", epochs=steps, log_interval=milliseconds, seed=seed))


def test_runs_are_executed_in_the_order_of_their_submission(worker: Worker, store: RunStore) -> None:
    runs = [store.submit(count_to(3)).run_id for _ in range(5)]
    finished = [wait_for_state(store, run_id) for run_id in runs]
    assert {record.state for record in finished} == {RunState.SUCCEEDED}
    assert [record.finished_at for record in finished] == sorted(record.finished_at for record in finished)


def test_the_events_of_a_run_are_in_order_and_end_with_the_last(worker: Worker, store: RunStore, client: Redis) -> None:
    run_id = store.submit(count_to(3)).run_id
    told = [told.event.type for told in EventLog(client).follow(run_id) if told]
    step = ["epoch", "checkpoint_saved"]
    assert told == ["submitted", "attempt_started", "training_started", *step, *step, *step, "finished"]


def test_an_error_of_ours_is_kept_in_the_record_and_the_worker_goes_on(worker: Worker, store: RunStore) -> None:
    failing, bug, good = (store.submit(count_to(2, seed=seed)).run_id for seed in (ERROR_SEED, BUG_SEED, 1))
    error = wait_for_state(store, failing).error
    assert error
    assert (error.kind, error.message, error.hint) == ("VolumeError", "The volume is full.", "Free space.")
    error = wait_for_state(store, bug).error
    assert error
    assert error.message == "Unexpected ZeroDivisionError: a bug"
    assert "Traceback" in error.details
    assert wait_for_state(store, good).state is RunState.SUCCEEDED


def test_a_message_delivered_five_times_runs_its_run_once(worker: Worker, store: RunStore) -> None:
    request = count_to(30, milliseconds=10)
    run_id = store.submit(request).run_id
    message = store.redis.hget(store.keys.run(run_id), "message")
    for _ in range(4):
        store.redis.lpush(store.keys.messages("normal"), message)
    record = wait_for_state(store, run_id)
    after = wait_for_state(store, store.submit(count_to(1)).run_id)  # the copies were served before this one
    assert (record.state, record.attempt, after.state) == (RunState.SUCCEEDED, 1, RunState.SUCCEEDED)
    assert store.get(run_id) == record


def test_a_cancel_reaches_a_running_run(worker: Worker, store: RunStore) -> None:
    run_id = store.submit(count_to(10_000, milliseconds=10)).run_id
    eventually(lambda: store.get(run_id).checkpoint, what="a first checkpoint")
    assert store.cancel(run_id) == "requested"
    assert wait_for_state(store, run_id, seconds=5).state is RunState.CANCELLED
    assert wait_for_state(store, store.submit(count_to(1)).run_id).state is RunState.SUCCEEDED


def test_sigterm_hands_the_run_back_and_the_next_worker_goes_on_from_there(
    worker: Worker, store: RunStore, start_worker: Callable[..., Worker], server: Server, client: Redis
) -> None:
    run_id = store.submit(count_to(200, milliseconds=20)).run_id
    behind = store.submit(count_to(1)).run_id
    eventually(lambda: store.get(run_id).checkpoint, what="a first checkpoint")
    assert worker.terminate() == 0
    record = store.get(run_id)
    assert (record.state, record.attempts_without_checkpoint) == (RunState.QUEUED, 0)
    assert store.position(run_id) == 0
    assert WorkerRegistry(client).present() == []
    start_worker("worker-2", server).wait_until_ready(client)
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt, record.worker) == (RunState.SUCCEEDED, 2, "worker-2")
    assert wait_for_state(store, behind).state is RunState.SUCCEEDED
    epochs = [told.event.metrics.epoch for told in EventLog(client).replay(run_id) if told.event.type == "epoch"]
    assert epochs == list(range(1, 201))


def test_a_worker_announces_what_it_is_and_what_it_does(worker: Worker, store: RunStore, client: Redis) -> None:
    registry = WorkerRegistry(client)
    info = registry.present()[0].info
    assert (info.name, info.pid, info.run) == ("worker-1", worker.process.pid, None)
    assert info.device
    assert info.device.name == "a counter"
    run_id = store.submit(count_to(1000, milliseconds=10)).run_id
    eventually(lambda: [p.info.state for p in registry.present()] == ["busy"], what="busy")
    assert registry.present()[0].info.run == run_id
    store.cancel(run_id)
    eventually(lambda: [p.info.state for p in registry.present()] == ["idle"], what="idle")


def test_a_killed_pool_process_is_replaced_and_its_run_recovered(worker: Worker, store: RunStore) -> None:
    run_id = store.submit(count_to(400, milliseconds=10)).run_id
    eventually(lambda: store.get(run_id).checkpoint, what="a first checkpoint")
    os.kill(worker.pool_pid(), signal.SIGKILL)
    record = wait_for_state(store, run_id, seconds=40)
    assert (record.state, record.attempt) == (RunState.SUCCEEDED, 2)


def test_hostile_task_arguments_are_refused_and_harm_nothing(worker: Worker, store: RunStore, tmp_path: Path) -> None:
    run_id = store.submit(count_to(1)).run_id
    wait_for_state(store, run_id)
    message = store.redis.hget(store.keys.run(run_id), "message")
    assert message
    for arguments in (["../../etc/passwd"], [{"a": 1}], [], [None], ["a" * 10_000], ["x", "y"]):
        envelope = json.loads(message)
        body = [arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
        envelope["body"] = base64.b64encode(json.dumps(body).encode()).decode()
        store.redis.lpush(store.keys.messages("normal"), json.dumps(envelope))
    assert wait_for_state(store, store.submit(count_to(1)).run_id).state is RunState.SUCCEEDED
    assert {path.name for path in (tmp_path / "storage" / "runs").iterdir()} <= {
        record.id for record in store.latest(10)
    }


def test_the_main_process_never_loads_torch(worker: Worker) -> None:
    maps = Path(f"/proc/{worker.process.pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    assert "libtorch" not in maps.read_text()


def test_a_worker_that_is_not_ready_yet_leaves_the_queue_to_others(
    store: RunStore, start_worker: Callable[..., Worker], server: Server, client: Redis
) -> None:
    slow = start_worker("slow", server, COUNTING_START_SECONDS="8")
    eventually(lambda: "serving the queue" in slow.log, what="its main process being up")
    run_id = store.submit(count_to(2)).run_id
    quick = start_worker("quick", server)
    assert wait_for_state(store, run_id).worker == "quick"
    assert "its message was lost" not in slow.log + quick.log
    slow.wait_until_ready(client)
    assert wait_for_state(store, store.submit(count_to(2)).run_id).state is RunState.SUCCEEDED
