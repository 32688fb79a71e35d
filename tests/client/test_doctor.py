"""`doctor`: every part is looked at, and what is not well says what to do."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.client.conftest import Cli
from tests.client.owner import Owner
from tests.client.test_workers import GPU, lose, worker
from tests.client.volume_files import run_folder
from tests.processes import eventually


def statuses(text: str) -> dict[str, str]:
    return {one["check"]: one["status"] for one in json.loads(text)}


@pytest.fixture
def registry(store: RunStore) -> WorkerRegistry:
    registry = WorkerRegistry(store.redis)
    registry.announce(worker("worker-1"))
    return registry


@pytest.fixture
def serving(store: RunStore, tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """A stand-in for a worker: it claims the next run and ends it; whether it writes to the shared volume is said."""
    threads = []

    def start(shares: bool) -> None:
        def serve() -> None:
            record = eventually(lambda: next(iter(store.latest(1)), None), what="a canary")
            owner = Owner(store, record.id)
            if shares:
                run_folder(tmp_path, record.id).run_file.write_text("{}")
            owner.succeed()

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)

    yield start
    for thread in threads:
        thread.join()


def test_where_all_is_well_every_line_says_ok(
    cli: Cli, store: RunStore, registry: WorkerRegistry, serving: Callable[[bool], None], tmp_path: Path
) -> None:
    (tmp_path / "storage").mkdir()
    serving(True)
    done = cli("doctor")
    assert done.returncode == 0, done.stdout
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    assert [check for _, check in lines] == [
        *("broker", "durability", "memory", "workers", "versions", "gpu", "queue", "canary", "volume", "disk", "data")
    ]
    assert "one batch on worker-1: begun after" in done.stdout
    canary = store.latest(1)[0]
    assert (canary.options.tags, canary.options.priority, canary.request.config.dry_run) == (("doctor",), "high", True)


def test_the_last_run_stays_the_users_own(
    cli: Cli, store: RunStore, registry: WorkerRegistry, owned: Callable[..., Owner]
) -> None:
    mine = owned(epochs=1).train()
    cli("doctor", "--timeout", "0.2")
    assert store.latest(1)[0].id != mine
    assert json.loads(cli("status", "last", "--json").stdout)["id"] == mine
    evaluation = store.get(cli("submit", "evaluate", "last").stdout.strip())
    assert evaluation.request.target == mine


def test_a_volume_that_only_the_worker_sees_is_a_warning(
    cli: Cli, registry: WorkerRegistry, serving: Callable[[bool], None]
) -> None:
    serving(False)
    done = cli("doctor", "--json")
    assert done.returncode == 0
    found = statuses(done.stdout)
    assert (found["canary"], found["volume"], found["disk"]) == ("ok", "warning", "warning")
    assert "data" not in found


def test_a_canary_that_nobody_begins_is_taken_back(cli: Cli, store: RunStore, registry: WorkerRegistry) -> None:
    done = cli("doctor", "--timeout", "0.2", "--json")
    assert done.returncode == 1
    assert statuses(done.stdout)["canary"] == "broken"
    assert store.latest(1)[0].state == "cancelled"
    registry.announce(worker("worker-1", state="busy"))
    assert statuses(cli("doctor", "--timeout", "0.2", "--json").stdout)["canary"] == "warning"


def test_what_keeps_runs_from_being_begun_is_said(cli: Cli, store: RunStore, registry: WorkerRegistry) -> None:
    Queue(store.redis).pause()
    Queue(store.redis).quarantine(b"garbage", reason="not JSON", worker="worker-1")
    registry.drain("worker-1")
    lose(registry, worker("worker-2", host="box-2"))
    registry.announce(worker("worker-3", versions={"mnist-worker": "9.9.9"}, device=GPU))
    done = cli("doctor")
    assert done.returncode == 0
    for words in (
        "paused: nothing is begun",
        "mnist-client queue resume",
        "1 message that no worker could take",
        "worker-1: no more runs for them",
        "mnist-client workers undrain worker-1",
        "vanished in the last 24 hours: worker-2 on box-2",
        "but worker-3 9.9.9",
        "worker-3: cuda NVIDIA H100 80GB HBM3",
        "not sent: the queue is paused",
    ):
        assert words in done.stdout, words


def test_a_system_without_a_worker_is_broken(cli: Cli, store: RunStore) -> None:
    done = cli("doctor", "--json")
    assert done.returncode == 1
    found = statuses(done.stdout)
    assert (found["workers"], found["canary"]) == ("broken", "warning")
    assert store.count() == 0


def test_a_server_that_may_lose_runs_is_broken(cli: Cli, store: RunStore, registry: WorkerRegistry) -> None:
    store.redis.config_set("appendonly", "no")
    try:
        done = cli("doctor", "--no-canary", "--json")
    finally:
        store.redis.config_set("appendonly", "yes")
    assert done.returncode == 1
    found = {one["check"]: one for one in json.loads(done.stdout)}
    assert found["durability"]["status"] == "broken"
    assert "appendonly yes" in found["durability"]["hint"]


def test_without_a_broker_it_says_so_as_a_line(lonely: Cli) -> None:
    for variables in ({}, {"MNIST_BROKER_URL": "redis://127.0.0.1:1/0"}):
        done = lonely("doctor", **variables)
        assert done.returncode == 105
        assert done.stdout.startswith("broken   broker")
        assert "mnist-client up" in done.stdout
        assert "1 broken, 1 warning" in done.stderr


def test_findings_are_wrapped_to_the_terminal(cli: Cli, registry: WorkerRegistry) -> None:
    Queue(WorkerRegistry(registry.redis).redis).pause()
    terminal = cli.terminal("doctor", "--no-canary", columns=60)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= 60


def test_a_timeout_out_of_bounds_is_refused(cli: Cli) -> None:
    assert cli("doctor", "--timeout", "0").returncode == 2
