"""What happens to a run when its worker is killed, stopped, frozen or replaced."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from mnist_shared.contracts.runs import RunState
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import MAX_ATTEMPTS, RunStore
from tests.counting_worker import POISON_SEED
from tests.faults.conftest import LEASE_SECONDS, count_to, steps_told
from tests.processes import Worker, eventually, wait_for_state

Start = Callable[..., Worker]


def test_a_killed_workers_run_is_resumed_by_another_from_its_last_checkpoint(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog
) -> None:
    first = counting("worker-1")
    run_id = begun(count_to(200, milliseconds=20))
    counting("worker-2")
    first.kill()
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt, record.worker) == (RunState.SUCCEEDED, 2, "worker-2")
    assert steps_told(log, run_id) == list(range(1, 201))
    lost = [told.event for told in log.replay(run_id) if told.event.type == "attempt_lost"]
    assert [(event.attempt, event.worker) for event in lost] == [(1, "worker-1")]


def test_a_pool_process_does_not_outlive_its_parent_and_its_run_is_resumed(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog
) -> None:
    first = counting("worker-1")
    run_id = begun(count_to(300, milliseconds=20))
    pool = psutil.Process(first.pool_pid())
    counting("worker-2")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    eventually(lambda: not pool.is_running() or pool.status() == psutil.STATUS_ZOMBIE, what="the end of the orphan")
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt, record.worker) == (RunState.SUCCEEDED, 2, "worker-2")
    assert steps_told(log, run_id) == list(range(1, 301))


def test_a_worker_frozen_beyond_its_lease_commits_nothing_when_it_thaws(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, tmp_path: Path
) -> None:
    frozen = counting("worker-1")
    run_id = begun(count_to(300, milliseconds=20))
    counting("worker-2")
    frozen.signal_all(signal.SIGSTOP)
    eventually(lambda: store.get(run_id).worker == "worker-2", what="recovery")
    frozen.signal_all(signal.SIGCONT)
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt, record.worker) == (RunState.SUCCEEDED, 2, "worker-2")
    eventually(lambda: "no longer owns" in frozen.log, what="the thawed worker noticing")
    assert steps_told(log, run_id) == list(range(1, 301))
    assert [told.event.type for told in log.replay(run_id)].count("finished") == 1
    assert record.checkpoint
    assert record.checkpoint.attempt == 2
    assert store.get(run_id) == record
    assert wait_for_state(store, store.submit(count_to(1)).run_id).state is RunState.SUCCEEDED


def test_going_down_to_no_worker_and_back_loses_nothing(counting: Start, store: RunStore, log: EventLog) -> None:
    workers = [counting(f"worker-{number}") for number in (1, 2, 3)]
    runs = [store.submit(count_to(60, milliseconds=20)).run_id for _ in range(6)]
    eventually(lambda: all(store.get(run_id).checkpoint for run_id in runs[:3]), what="three runs at once")
    for worker in workers:
        worker.process.terminate()
    assert [worker.process.wait(20) for worker in workers] == [0, 0, 0]
    assert {store.get(run_id).state for run_id in runs} == {RunState.QUEUED}
    assert [store.position(run_id) is not None for run_id in runs] == [True] * 6
    counting("worker-4")
    for run_id in runs:
        assert wait_for_state(store, run_id).state is RunState.SUCCEEDED
        assert steps_told(log, run_id) == list(range(1, 61))
    assert all(store.get(run_id).attempts_without_checkpoint <= 1 for run_id in runs)


def test_ctrl_c_hands_back_and_a_second_one_forces(counting: Start, begun: Callable[..., str], store: RunStore) -> None:
    polite = counting("worker-1")
    run_id = begun(count_to(1000, milliseconds=20))
    polite.process.send_signal(signal.SIGINT)
    assert polite.process.wait(20) == 0
    assert store.get(run_id).state is RunState.QUEUED
    forced = counting("worker-2")
    stuck = store.submit(count_to(1, milliseconds=60_000)).run_id  # does not look up for a minute
    store.cancel(run_id)
    wait_for_state(store, stuck, RunState.RUNNING)
    forced.process.send_signal(signal.SIGINT)
    # Two signals before the first is looked at are one to a process, and a busy machine may take its time.
    eventually(lambda: "shutdown" in forced.log.lower(), what="the first Ctrl-C being noticed")
    time.sleep(0.5)
    assert forced.process.poll() is None
    forced.process.send_signal(signal.SIGINT)
    forced.process.wait(20)
    counting("worker-3")
    eventually(lambda: store.get(stuck).attempt == 2, what="the forced worker's run being taken over")


def test_a_poison_run_fails_after_its_attempts_and_does_not_block_the_queue(
    counting: Start, store: RunStore, log: EventLog
) -> None:
    counting("worker-1")
    poison = store.submit(count_to(1, seed=POISON_SEED)).run_id
    behind = store.submit(count_to(3)).run_id
    assert wait_for_state(store, behind).state is RunState.SUCCEEDED
    record = wait_for_state(store, poison, seconds=90)
    assert (record.state, record.attempt) == (RunState.FAILED, MAX_ATTEMPTS)
    assert record.error
    assert "5 attempts without a new checkpoint" in record.error.message


def test_a_run_whose_worker_died_is_cancelled_with_no_worker_left(
    counting: Start, begun: Callable[..., str], store: RunStore
) -> None:
    worker = counting("worker-1")
    run_id = begun(count_to(10_000, milliseconds=10))
    worker.kill()
    eventually(lambda: store.cancel(run_id) == "cancelled", seconds=3 * LEASE_SECONDS, what="the lease running out")
    record = store.get(run_id)
    assert (record.state, record.checkpoint is not None) == (RunState.CANCELLED, True)


def test_a_forced_cancel_does_not_wait_for_the_batch(counting: Start, store: RunStore) -> None:
    counting("worker-1")
    run_id = store.submit(count_to(1, milliseconds=3_000)).run_id
    wait_for_state(store, run_id, RunState.RUNNING)
    assert store.cancel(run_id, force=True) == "cancelled"
    record = store.get(run_id)
    assert record.state is RunState.CANCELLED
    assert wait_for_state(store, store.submit(count_to(1)).run_id).state is RunState.SUCCEEDED
    assert store.get(run_id) == record


def test_a_clock_an_hour_off_changes_nothing(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, tmp_path: Path
) -> None:
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(
        "import time\n"
        "wall, wall_ns = time.time, time.time_ns\n"
        "time.time = lambda: wall() + 3600\n"
        "time.time_ns = lambda: wall_ns() + 3600 * 10**9\n"
    )
    ahead = counting("ahead", PYTHONPATH=str(shim))
    run_id = begun(count_to(600, milliseconds=20))
    counting("worker-2")
    time.sleep(LEASE_SECONDS * 1.5)  # the one with the right clock has nothing to reap
    assert store.get(run_id).attempt == 1
    ahead.kill()
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt) == (RunState.SUCCEEDED, 2)
    assert steps_told(log, run_id) == list(range(1, 601))


def test_many_short_runs_under_random_kills_end_exactly_once_each(
    counting: Start, store: RunStore, log: EventLog
) -> None:
    num_runs, num_kills, seed = 300, 6, 20261123
    chance = random.Random(seed)
    workers = [counting(f"worker-{number}") for number in range(3)]
    runs = [store.submit(count_to(3, milliseconds=5)).run_id for _ in range(num_runs)]
    for number in range(num_kills):
        time.sleep(chance.uniform(0.1, 0.5))
        workers.pop(chance.randrange(len(workers))).kill()
        workers.append(counting(f"again-{number}"))
    for run_id in runs:
        assert wait_for_state(store, run_id, seconds=100).state is RunState.SUCCEEDED
        types = [told.event.type for told in log.replay(run_id)]
        assert (types.count("finished"), types[-1]) == (1, "finished")
        assert steps_told(log, run_id) == [1, 2, 3]
