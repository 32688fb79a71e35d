"""`follow`: replayed from the start, then live, across breaks, on any kind of output."""

import json
import re
import signal
from collections.abc import Callable

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import Finished
from mnist_shared.contracts.requests import ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import RunError, RunState, SubmitOptions
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli, wait_for_reader
from tests.client.owner import Owner
from tests.client.zoo import Zoo, announce
from tests.conftest import Server


def test_a_pipe_gets_one_plain_line_an_epoch(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    run_id = owned(epochs=2).train()
    done = cli("follow", run_id)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"run {run_id} ({store.get(run_id).options.name}): train on mnist, 2 epochs, batch size 64",
        "started by worker-1",
        "training on mnist, 60,000 images, cpu, 2 threads",
        "epoch 1/2  test accuracy 99.01%  train loss 0.2105  test loss 0.0480  54.7 s  1,097 images/s  lr 0.001",
        "epoch 2/2  test accuracy 99.02%  train loss 0.2105  test loss 0.0480  54.7 s  1,097 images/s  lr 0.0007",
        "succeeded: accuracy 9902/10000 (99.02%), average loss 0.0211, 2 epochs in 13 min 40 s",
    ]


def test_the_exit_code_is_the_result(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], submitted: Callable[..., str]
) -> None:
    failed = cli("follow", owned().fail())
    assert failed.returncode == 100
    assert "failed: The volume is full. Free some space on it." in failed.stdout
    cancelled = submitted()
    store.cancel(cancelled)
    assert cli("follow", cancelled).returncode == 103


def test_json_is_an_event_a_line_with_id_and_time(cli: Cli, owned: Callable[..., Owner]) -> None:
    run_id = owned(epochs=1).train()
    events = [json.loads(line) for line in cli("follow", run_id, "--json").stdout.splitlines()]
    assert [event["type"] for event in events] == [
        "submitted", "attempt_started", "training_started", "epoch", "checkpoint_saved", "finished",
    ]  # fmt: skip
    assert all(re.fullmatch(r"\d+-\d+", event["id"]) for event in events)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", event["at"]) for event in events)
    assert events[3]["metrics"]["test_correct"] == 9901


def test_it_says_where_the_run_stands_and_that_nobody_comes(
    cli: Cli, store: RunStore, submitted: Callable[..., str]
) -> None:
    submitted()
    process = cli.start("follow", submitted())
    wait_for_reader(store)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stdout.startswith("run ")
    assert "queued, 1 run before it; no worker is present" in stderr


def test_it_says_for_whom_a_run_waits_and_when_it_will_start(cli: Cli, client: Redis) -> None:
    zoo = Zoo(client)
    announce(client, "worker-1", run=zoo.ids["eager-lynx"])
    for name, words in {
        "ideal-wren": f"waits for eager-lynx ({zoo.ids['eager-lynx']}), which is running 6/15 43%, "
        "starts in about 10m33s",
        "happy-toad": "queued, next in the queue, starts in about 7m49s",
    }.items():
        process = cli.start("follow", name)
        assert process.stderr is not None
        assert process.stderr.readline() == f"{words}\n"
        process.kill()
        process.communicate()


def test_it_says_so_when_workers_vanish_one_after_the_other(
    cli: Cli, client: Redis, store: RunStore, submitted: Callable[..., str]
) -> None:
    run_id = submitted(epochs=2)
    for _ in range(2):
        Owner(store, run_id)
        client.zadd(store.keys.leases, {run_id: 1})
        while not store.reap():
            pass
    announce(client, "worker-1", state="idle")
    process = cli.start("follow", run_id)
    assert process.stderr is not None
    assert process.stderr.readline() == (
        "queued, next in the queue; 2 attempts have ended without a new checkpoint: does it crash its workers? "
        f"See `mnist-client logs {run_id}` and `mnist-client workers`.\n"
    )
    process.kill()
    process.communicate()


def test_recoveries_are_marked(cli: Cli, client: Redis, store: RunStore) -> None:
    config = TrainConfig(epochs=3)
    run_id = store.submit(TrainRequest(config=config), options=SubmitOptions(retries=1)).run_id
    first = Owner(store, run_id)
    first.start()
    first.epoch(1)
    store.release(first.grant)
    second = Owner(store, run_id, worker="worker-2")
    second.start(epoch=1, checkpoint="epoch-1.pt")
    second.saved(1, 120)
    client.zadd(store.keys.leases, {run_id: 1})
    while not store.reap():
        pass
    third = Owner(store, run_id, worker="worker-1")
    third.start(epoch=1, batch=120, checkpoint="epoch-1-120.pt")
    error = RunError(kind="VolumeError", message="The volume is full.", attempt=3)
    store.finish(third.grant, Finished(state=RunState.FAILED, error=error), retry=True)
    last = Owner(store, run_id, worker="worker-3")
    last.start(epoch=1, checkpoint="epoch-1.pt")
    last.epoch(2)
    last.epoch(3)
    last.succeed()
    lines = cli("follow", run_id).stdout.splitlines()
    assert lines[2:] == [
        "training on mnist, 60,000 images, cpu, 2 threads",
        *[line for line in lines if line.startswith("epoch 1/3")],
        "worker-1 stopped and handed the run back at the end of epoch 1, resumed by worker-2 (attempt 2)",
        "goes on after epoch 1 from epoch-1.pt: mnist, 60,000 images, cpu, 2 threads",
        "worker-2 lost at epoch 2, batch 120 (step 1,058), resumed by worker-1 (attempt 3)",
        "goes on after epoch 1, batch 120 from epoch-1-120.pt: mnist, 60,000 images, cpu, 2 threads",
        "attempt 3 failed on worker-1 at epoch 2, batch 120 (step 1,058): The volume is full, "
        "resumed by worker-3 (attempt 4)",
        "goes on after epoch 1 from epoch-1.pt: mnist, 60,000 images, cpu, 2 threads",
        *[line for line in lines if line.startswith(("epoch 2/3", "epoch 3/3", "succeeded"))],
    ]


def test_a_lost_worker_is_told_before_anybody_takes_over(
    cli: Cli, client: Redis, submitted: Callable[..., str]
) -> None:
    store = RunStore(client)
    run_id = submitted(epochs=2)
    first = Owner(store, run_id)
    first.start()
    process = cli.start("follow", run_id)
    wait_for_reader(store)
    first.batch(1, 120)
    client.zadd(store.keys.leases, {run_id: 1})
    while not store.reap():
        pass
    assert process.stdout is not None
    lost = "worker-1 lost at epoch 1, batch 120 (step 120); the run waits for a worker\n"
    assert lost in iter(process.stdout.readline, "")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("queued, next in the queue; no worker is present")
    Owner(store, run_id, worker="worker-2").train()
    stdout, _ = process.communicate(timeout=20)
    assert stdout.startswith("resumed by worker-2 (attempt 2)\n")


def test_a_terminal_shows_where_a_lost_run_goes_on(
    cli: Cli, client: Redis, store: RunStore, owned: Callable[..., Owner]
) -> None:
    first = owned(epochs=4)
    first.start()
    first.epoch(1)
    terminal = cli.terminal("follow", first.run_id)
    wait_for_reader(store)
    first.batch(2, 120)
    terminal.read_until("120/938")
    client.zadd(store.keys.leases, {first.run_id: 1})
    while not store.reap():
        pass
    place = "worker-1 lost at epoch 2, batch 120 (step 1,058)"
    terminal.read_until(f"{place}; waiting for a worker")
    second = Owner(store, first.run_id, worker="worker-2")
    second.start(epoch=1, checkpoint="epoch-1.pt")
    terminal.read_until(f"{place}, resumed by worker-2 (attempt 2)\n")
    second.succeed()
    assert terminal.finish() == 0


def test_a_resumed_run_goes_on_where_its_parents_curve_ends(
    cli: Cli, store: RunStore, owned: Callable[..., Owner]
) -> None:
    del cli.environment["NO_COLOR"]
    grandparent = owned(epochs=2).train()
    parent = Owner(store, store.submit(ResumeRequest(parent=grandparent, config=TrainConfig(epochs=4))).run_id)
    parent.start(epoch=2, checkpoint="epoch-2.pt")
    parent.epoch(3)
    parent.fail()
    child_id = store.submit(ResumeRequest(parent=parent.run_id, config=TrainConfig(epochs=5))).run_id
    name = store.get(parent.run_id).options.name
    waiting = cli.start("follow", child_id)
    assert waiting.stdout is not None
    before = [waiting.stdout.readline() for _ in range(5)]
    waiting.kill()
    waiting.communicate()
    assert before[1] == f"goes on from {name} ({parent.run_id}):\n"
    assert [line[:9] for line in before[2:]] == ["epoch 1/5", "epoch 2/5", "epoch 3/5"]

    child = Owner(store, child_id)
    child.start(epoch=3, checkpoint="epoch-3.pt")
    child.epoch(4)
    child.epoch(5)
    child.succeed()
    terminal = cli.terminal("follow", child_id)
    assert terminal.finish() == 0
    epochs = [line for line in terminal.text.splitlines() if line.startswith("epoch ")]
    assert [line[:9] for line in epochs] == [f"epoch {number}/5" for number in range(1, 6)]
    assert terminal.raw.count("\x1b[2m") >= 4  # what is the parents' is dim
    assert "\x1b[2mepoch 3/5" in terminal.raw
    assert "\x1b[2mepoch 4/5" not in terminal.raw


@pytest.mark.parametrize("bell", [True, False])
def test_the_bell_rings_on_a_terminal(cli: Cli, owned: Callable[..., Owner], bell: bool) -> None:
    run_id = owned(epochs=1).train()
    terminal = cli.terminal("follow", run_id, *(["--bell"] if bell else []))
    assert terminal.finish() == 0
    assert terminal.raw.count("\a") == bell
    if bell:
        done = cli("follow", run_id, "--bell")
        assert "\a" not in done.stdout + done.stderr


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_a_terminal_shows_a_bar_that_fits_and_a_line_an_epoch(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], columns: int
) -> None:
    owner = owned(epochs=15)
    terminal = cli.terminal("follow", owner.run_id, columns=columns)
    terminal.read_until("gets ready")
    wait_for_reader(store)
    owner.start()
    owner.epoch(1)
    terminal.read_until("epoch  1/15")
    owner.batch(2, 469, loss=0.0312)
    terminal.read_until("469/938  loss 0.0312")
    bar = next(line for line in terminal.lines if "469/938" in line)
    assert len(bar) < columns
    assert ("1,097 images/s" in bar) == (columns >= 100)
    assert "ETA 12:18" in bar  # 13.5 epochs of 54.7 s
    assert 0.4 < bar.count("━") / (bar.count("━") + bar.count("─")) < 0.6
    owner.succeed()
    assert terminal.finish() == 0
    assert "succeeded: accuracy" in terminal.text
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 1


def test_a_dumb_terminal_gets_plain_lines(cli: Cli, owned: Callable[..., Owner]) -> None:
    terminal = cli.terminal("follow", owned(epochs=2).train(), TERM="dumb")
    assert terminal.finish() == 0
    assert "\x1b" not in terminal.raw
    assert "epoch 2/2  test accuracy 99.02%" in terminal.text


def test_ctrl_c_detaches_and_says_how_to_come_back(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=2)
    owner.start()
    terminal = cli.terminal("follow", "last")
    terminal.read_until("first batch")
    terminal.type("\x03")
    assert terminal.finish() == 130
    assert f"run {owner.run_id} goes on. Re-attach with `mnist-client follow {owner.run_id}`" in terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.raw.endswith("\x1b[?25h") or "\x1b[?25h" in terminal.raw
    assert store.get(owner.run_id).state == "running"


def test_a_broker_that_dies_and_comes_back_costs_no_event(lonely: Cli, own_server: Server) -> None:
    store = RunStore(connect(own_server.url, retries=20))
    run_id = store.submit(TrainRequest(config=TrainConfig(epochs=3))).run_id
    owner = Owner(store, run_id)
    owner.start()
    owner.epoch(1)
    process = lonely.start("follow", run_id, "--json", MNIST_BROKER_URL=own_server.url)
    wait_for_reader(store)
    with own_server.client() as admin:
        admin.execute_command("WAITAOF", 1, 0, 2000)  # what is on disk is what the test is about
    own_server.kill()
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "Waiting for the broker to come back" in said
    own_server.start()
    owner.epoch(2)
    owner.epoch(3)
    owner.succeed()
    stdout, stderr = process.communicate(timeout=30)
    events = [json.loads(line) for line in stdout.splitlines()]
    assert [event["metrics"]["epoch"] for event in events if event["type"] == "epoch"] == [1, 2, 3]
    assert len({event["id"] for event in events}) == len(events)
    assert process.returncode == 0
    assert stderr == "The broker is back.\n"


def test_a_broker_that_was_emptied_does_not_know_the_run(lonely: Cli, own_server: Server) -> None:
    store = RunStore(connect(own_server.url))
    run_id = store.submit(TrainRequest(config=TrainConfig())).run_id
    process = lonely.start("follow", run_id, MNIST_BROKER_URL=own_server.url)
    wait_for_reader(store)
    with own_server.client() as admin:
        admin.flushall()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 102
    assert f"There is no run {run_id}" in stderr
