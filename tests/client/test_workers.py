"""`workers`: who serves the queue, who was lost, who takes no more runs."""

import json
from collections.abc import Callable

import pytest

from mnist_client.versions import own_version
from mnist_shared.contracts.workers import DeviceInfo, GpuUse, WorkerInfo
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.client.conftest import Cli
from tests.client.owner import Owner

GPU = DeviceInfo(kind="cuda", name="NVIDIA H100 80GB HBM3", memory_bytes=80_000_000_000, uuid="GPU-1", num_threads=8)


@pytest.fixture
def registry(store: RunStore) -> WorkerRegistry:
    return WorkerRegistry(store.redis)


def worker(name: str, **fields: object) -> WorkerInfo:
    defaults: dict[str, object] = {
        "host": "box-1",
        "pid": 7,
        "state": "idle",
        "device": DeviceInfo(kind="cpu", name="AMD EPYC", num_threads=2),
        "versions": {"mnist-worker": own_version(), "torch": "2.14.1", "python": "3.11.7"},
        "started_at_ms": 0,
    }
    return WorkerInfo.model_validate({"name": name, **defaults, **fields})


def lose(registry: WorkerRegistry, info: WorkerInfo, *, seconds: float = 60.0) -> None:
    """As if it had been announced so long ago for the last time."""
    registry.announce(info)
    registry.redis.zincrby(registry.keys.workers, -1000 * seconds, info.name)


def test_workers_shows_device_gpu_run_and_speed(
    cli: Cli, registry: WorkerRegistry, owned: Callable[..., Owner]
) -> None:
    owner = owned(worker="gpu-1")
    owner.start()
    owner.batch(1, 10)
    use = GpuUse(utilization=0.87, memory_used_bytes=11_200_000_000)
    registry.announce(worker("gpu-1", state="busy", run=owner.run_id, device=GPU, gpu=use))
    registry.announce(worker("worker-2"))
    done = cli("workers")
    header, gpu, idle = done.stdout.splitlines()
    assert header.split() == [
        *("WORKER", "STATE", "DEVICE", "GPU", "THREADS", "RUN", "IMAGES/S", "HOST", "VERSIONS", "SEEN")
    ]
    assert "busy   cuda NVIDIA H100 80GB HBM3  87% 11.2 GB of 80.0 GB" in gpu
    assert f"{owner.store.get(owner.run_id).options.name}" in gpu
    assert "1,097" in gpu
    assert idle.split()[:3] == ["worker-2", "idle", "cpu"]
    first, _ = json.loads(cli("workers", "--json").stdout)
    assert (first["images_per_second"], first["gpu"]["utilization"], first["is_lost"]) == (1097.4, 0.87, False)


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_workers_fits_the_terminal(cli: Cli, registry: WorkerRegistry, columns: int) -> None:
    registry.announce(worker("gpu-1", device=GPU, host="a-rather-long-name-of-a-host.example.org"))
    terminal = cli.terminal("workers", columns=columns)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= columns
    assert "gpu-1" in terminal.text


def test_a_lost_worker_says_what_to_look_at(cli: Cli, registry: WorkerRegistry, owned: Callable[..., Owner]) -> None:
    run_id = owned(worker="worker-2").run_id
    registry.announce(worker("worker-1"))
    lose(registry, worker("worker-2", state="busy", run=run_id, host="box-2"))
    done = cli("workers")
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [["worker-1", "idle"], ["worker-2", "lost"]]
    assert "worker-2 vanished 1m ago without a word" in done.stderr
    assert f"mnist-client logs {run_id}" in done.stderr
    assert "the memory of box-2" in done.stderr


def test_another_version_is_marked(cli: Cli, registry: WorkerRegistry) -> None:
    registry.announce(worker("worker-1"))
    registry.announce(worker("worker-2", versions={"mnist-worker": "9.9.9", "torch": "2.14.1"}))
    done = cli("workers")
    assert "9.9.9!, torch 2.14.1" in done.stdout
    assert "another version than this client's" in done.stderr
    assert [row["is_other_version"] for row in json.loads(cli("workers", "--json").stdout)] == [False, True]


def test_drained_workers_take_no_more_until_they_are_taken_back(
    cli: Cli, registry: WorkerRegistry, owned: Callable[..., Owner]
) -> None:
    run_id = owned(worker="worker-1").run_id
    registry.announce(worker("worker-1", state="busy", run=run_id))
    registry.announce(worker("worker-2"))
    done = cli("workers", "drain", "worker-1", "worker-2")
    assert done.stdout.splitlines() == [
        f"worker-1 finishes run {run_id}, then takes no more",
        "worker-2 takes no more runs",
    ]
    assert "workers undrain worker-1 worker-2" in done.stderr
    assert registry.drained() == {"worker-1", "worker-2"}
    states = [line.split()[1] for line in cli("workers").stdout.splitlines()[1:]]
    assert states == ["draining", "drained"]
    assert cli("workers", "undrain", "--all", "--json").returncode == 0
    assert registry.drained() == set()


def test_a_name_that_is_no_workers_is_not_marked(cli: Cli, registry: WorkerRegistry) -> None:
    registry.announce(worker("worker-1"))
    done = cli("workers", "drain", "worker-1", "worker-l")
    assert done.returncode == 2
    assert "Did you mean worker-1?" in done.stderr
    assert registry.drained() == set()
    assert cli("workers", "drain").returncode == 2
    assert cli("workers", "drain", "worker-1", "--all").returncode == 2


def test_where_nobody_is_the_command_says_how_to_start_one(cli: Cli) -> None:
    done = cli("workers")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no worker is present" in done.stderr
    assert cli("workers", "--json").stdout == "[]\n"
