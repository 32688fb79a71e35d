"""What Prometheus is told, from a real server, by the real exporter."""

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, Finished, TrainingStarted
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import EpochMetrics, RunState, SubmitOptions
from mnist_shared.contracts.workers import DeviceInfo, GpuUse, WorkerInfo
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from mnist_worker.metrics import read_metrics
from tests.conftest import Server
from tests.processes import ROOT, eventually

TRAIN = TrainRequest(config=TrainConfig(dataset="digits", epochs=2))


def told(redis: Redis) -> dict[str, float]:
    """Sample, labels included, to its value."""

    def name(sample: Any) -> str:
        return " ".join([sample.name, *(f"{label}={value}" for label, value in sorted(sample.labels.items()) if value)])

    return {name(sample): sample.value for metric in read_metrics(redis) for sample in metric.samples}


def test_an_empty_queue_is_told_of_in_zeros(client: Redis) -> None:
    samples = told(client)
    assert samples["mnist_queue_depth priority=normal"] == 0
    assert samples["mnist_runs state=succeeded"] == 0
    assert samples["mnist_workers state=idle"] == 0
    assert samples["mnist_epochs_total"] == 0
    assert samples["mnist_broker_persistent"] == 1
    assert samples["mnist_broker_memory_bytes"] > 0


def test_the_queue_its_runs_and_its_workers_are_told_of(client: Redis) -> None:
    store, registry = RunStore(client), WorkerRegistry(client)
    first = store.submit(TRAIN).run_id
    grant = store.claim(first, worker="worker-1")
    assert grant
    started = TrainingStarted(
        dataset="digits", num_images=1437, device="cuda", num_threads=1, epoch=0, epochs=2, batch=0, num_batches=23
    )
    metrics = EpochMetrics(
        epoch=1, train_loss=1, test_loss=1, test_correct=1, test_total=2, test_accuracy=0.5, lr=0.001, seconds=1,
        images_per_second=1437,
    )  # fmt: skip
    progress = None
    for sequence, event in enumerate([started, EpochFinished(epochs=2, metrics=metrics)], start=1):
        progress = advance(progress, event)
        for _ in range(2):  # an append whose answer was lost is sent again, and counts once
            store.append(grant, event, sequence=sequence, progress=progress)
    store.submit(TRAIN, options=SubmitOptions(priority="high"))
    store.submit(TRAIN, options=SubmitOptions(priority="low"))
    store.submit(TRAIN, options=SubmitOptions(after=first))
    store.cancel(store.submit(TRAIN).run_id)
    registry.announce(
        WorkerInfo(
            name="worker-1", host="host", pid=1, state="busy", run=first, versions={}, started_at_ms=0,
            device=DeviceInfo(kind="cuda", name="made up", uuid="GPU-a", num_threads=1),
            gpu=GpuUse(utilization=0.5, memory_used_bytes=1000),
        )
    )  # fmt: skip
    Queue(client).pause()
    samples = told(client)
    expected = {
        "mnist_queue_running": 1,
        "mnist_queue_blocked": 1,
        "mnist_queue_paused": 1,
        "mnist_queue_depth priority=high": 1,
        "mnist_queue_depth priority=normal": 0,
        "mnist_queue_depth priority=low": 1,
        "mnist_runs state=queued": 3,
        "mnist_runs state=running": 1,
        "mnist_runs state=cancelled": 1,
        "mnist_runs_submitted_total": 5,
        "mnist_runs_ended_total state=cancelled": 1,
        "mnist_attempts_total": 1,
        "mnist_epochs_total": 1,
        "mnist_recoveries_total": 0,
        "mnist_workers state=busy": 1,
        "mnist_worker_info device=cuda gpu=GPU-a host=host worker=worker-1": 1,
        "mnist_gpu_utilization_ratio gpu=GPU-a worker=worker-1": 0.5,
        "mnist_gpu_memory_used_bytes gpu=GPU-a worker=worker-1": 1000,
        "mnist_images_per_second worker=worker-1": 1437,
    }
    assert {name: samples.get(name) for name in expected} == expected
    assert 0 <= samples["mnist_queue_oldest_seconds"] < 60


def test_hand_backs_and_lost_workers_are_counted(client: Redis) -> None:
    store = RunStore(client, lease_seconds=1)
    while int(client.info("server")["uptime_in_seconds"]) < 1:
        time.sleep(0.05)
    run_id = store.submit(TRAIN).run_id
    grant = store.claim(run_id, worker="worker-1")
    assert grant
    store.release(grant)
    store.release(grant)
    store.claim(run_id, worker="worker-2")
    client.zadd(store.keys.leases, {run_id: 1})
    eventually(store.reap, what="recovery")
    grant = store.claim(run_id, worker="worker-3")
    assert grant
    store.finish(grant, Finished(state=RunState.CANCELLED))
    samples = told(client)
    assert samples["mnist_hand_backs_total"] == 1
    assert samples["mnist_recoveries_total"] == 1
    assert samples["mnist_attempts_total"] == 3
    assert samples["mnist_runs_ended_total state=cancelled"] == 1


@pytest.fixture
def exporter(own_server: Server, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The exporter on a free port, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_worker.metrics", "--port", "0"],
        env=environment | {"MNIST_BROKER_URL": own_server.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    yield process, process.stderr.readline().strip()
    process.kill()
    process.wait()
    process.stderr.close()


def scrape(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def test_the_exporter_outlives_its_broker_and_stops_when_told(
    exporter: tuple[subprocess.Popen[str], str], own_server: Server
) -> None:
    process, address = exporter
    assert address.startswith("http://127.0.0.1:")
    assert "mnist_up 1.0" in scrape(address)
    own_server.kill()
    gone = scrape(address)
    assert "mnist_up 0.0" in gone
    assert "mnist_queue" not in gone
    own_server.start()
    assert "mnist_up 1.0" in scrape(address)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_without_a_broker_or_a_free_port_it_says_what_to_do(
    environment: dict[str, str], exporter: tuple[subprocess.Popen[str], str], own_server: Server
) -> None:
    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mnist_worker.metrics"],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=30,
        )

    nowhere = run()
    assert (nowhere.returncode, "MNIST_BROKER_URL" in nowhere.stderr) == (2, True)
    port = str(re.findall(r":(\d+)/", exporter[1])[0])
    taken = run(MNIST_BROKER_URL=own_server.url, MNIST_METRICS_PORT=port)
    assert (taken.returncode, "cannot be listened on" in taken.stderr) == (2, True)
    assert "Traceback" not in taken.stderr


def test_alerts_and_dashboard_speak_of_nothing_that_is_not_told(client: Redis) -> None:
    registry = WorkerRegistry(client)
    registry.announce(WorkerInfo(name="w", host="h", pid=1, state="idle", versions={}, started_at_ms=0))
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in read_metrics(client)}
    folder = ROOT / "deploy" / "observability"
    for file in (folder / "alerts.yml", folder / "grafana" / "dashboards" / "mnist-queue.json"):
        used = set(re.findall(r"\bmnist_[a-z_]+", file.read_text()))
        assert used
        assert used <= names | {"mnist_up"}
