"""Which runs a real worker process takes, and when it takes none."""

import os
import signal
from collections.abc import Callable

import psutil
from redis import Redis

from mnist_shared.contracts.runs import Priority, RunState, SubmitOptions
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.conftest import Server
from tests.counting_worker import ERROR_SEED
from tests.processes import Worker, eventually, wait_for_state
from tests.worker.test_worker_process import count_to


def state_of(redis: Redis, worker: Worker) -> str:
    return next(present.info.state for present in WorkerRegistry(redis).present() if present.info.name == worker.name)


def test_a_higher_priority_is_served_first(worker: Worker, store: RunStore) -> None:
    running = store.submit(count_to(1000, milliseconds=5)).run_id
    wait_for_state(store, running, RunState.RUNNING)
    order: tuple[Priority, ...] = ("low", "normal", "high", "normal", "low", "high")
    runs = [store.submit(count_to(1), options=SubmitOptions(priority=priority)) for priority in order]
    assert [run.position for run in runs] == [0, 0, 0, 2, 4, 1]
    store.cancel(running)
    ended = [wait_for_state(store, run.run_id) for run in runs]
    by_time = sorted(ended, key=lambda record: record.finished_at or record.submitted_at)
    assert [record.options.priority for record in by_time] == ["high", "high", "normal", "normal", "low", "low"]
    assert [record.id for record in by_time] == [runs[number].run_id for number in (2, 5, 1, 3, 0, 4)]
    assert {record.attempt for record in ended} == {1}


def test_a_paused_queue_is_served_by_nobody_and_goes_on_when_it_is_resumed(
    worker: Worker, store: RunStore, client: Redis
) -> None:
    under_way = store.submit(count_to(20, milliseconds=20)).run_id
    wait_for_state(store, under_way, RunState.RUNNING)
    Queue(client).pause()
    waiting = [store.submit(count_to(1)).run_id for _ in range(3)]
    assert wait_for_state(store, under_way).state is RunState.SUCCEEDED
    eventually(lambda: state_of(client, worker) == "idle", what="idle")
    assert {store.get(run_id).state for run_id in waiting} == {RunState.QUEUED}
    Queue(client).resume()
    assert {wait_for_state(store, run_id).state for run_id in waiting} == {RunState.SUCCEEDED}


def test_a_drained_worker_finishes_its_run_and_leaves_the_rest_to_others_also_after_a_restart(
    worker: Worker, store: RunStore, client: Redis, start_worker: Callable[..., Worker], server: Server
) -> None:
    registry = WorkerRegistry(client)
    under_way = store.submit(count_to(100, milliseconds=20)).run_id
    wait_for_state(store, under_way, RunState.RUNNING)
    registry.drain("worker-1")
    eventually(lambda: state_of(client, worker) == "draining", what="draining")
    waiting = store.submit(count_to(1)).run_id
    assert wait_for_state(store, under_way).worker == "worker-1"
    eventually(lambda: state_of(client, worker) == "drained", what="drained")
    assert store.get(waiting).state is RunState.QUEUED
    worker.terminate()
    again = start_worker("worker-1", server).wait_until_ready(client)
    eventually(lambda: state_of(client, again) == "drained", what="drained again")
    start_worker("worker-2", server)
    assert wait_for_state(store, waiting).worker == "worker-2"
    registry.undrain("worker-1")
    eventually(lambda: state_of(client, again) == "idle", what="idle")


def test_a_failed_attempt_is_repeated_as_often_as_was_asked(worker: Worker, store: RunStore) -> None:
    run_id = store.submit(count_to(1, seed=ERROR_SEED), options=SubmitOptions(retries=2)).run_id
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt, record.failures) == (RunState.FAILED, 3, 2)


def test_a_killed_pool_process_takes_its_run_out_of_the_announcement(
    store: RunStore, client: Redis, start_worker: Callable[..., Worker], server: Server
) -> None:
    worker = start_worker("worker-1", server, COUNTING_START_SECONDS="1").wait_until_ready(client)
    run_id = store.submit(count_to(10_000, milliseconds=10)).run_id
    eventually(lambda: state_of(client, worker) == "busy", what="busy")
    os.kill(worker.pool_pid(), signal.SIGKILL)
    eventually(lambda: state_of(client, worker) == "starting", what="a new pool process")
    assert WorkerRegistry(client).present()[0].info.run is None
    assert store.get(run_id).state is RunState.RUNNING  # until its lease runs out


def test_a_worker_that_may_take_nothing_from_its_start_on_does_not_burn_a_core(
    start_worker: Callable[..., Worker], server: Server, client: Redis
) -> None:
    Queue(client).pause()
    process = psutil.Process(start_worker("worker-1", server).wait_until_ready(client).process.pid)
    before, switched = process.cpu_times(), process.num_ctx_switches().voluntary
    # By its own steps and not by the clock: it has slept 20 times in turns of a loop that does next to nothing.
    eventually(lambda: process.num_ctx_switches().voluntary >= switched + 20, what="twenty naps")
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.5


def test_a_worker_that_cannot_train_ends_with_an_error(
    start_worker: Callable[..., Worker], server: Server, client: Redis
) -> None:
    worker = start_worker("worker-1", server, COUNTING_START_FAILS="1")
    assert worker.process.wait(timeout=30) == 1
    assert "this worker stops, for it cannot train: The volume is full. Free space." in worker.log
    assert "Traceback" not in worker.log
    assert WorkerRegistry(client).present() == []
