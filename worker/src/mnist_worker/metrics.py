"""`mnist-worker-metrics`: the queue, its runs and its workers, as Prometheus reads them.

One exporter is enough for all machines: whatever there is to tell is in Redis, where the workers announce themselves
and report their progress. It reads at each scrape, keeps nothing, and needs no more than the rights of `metrics`.
"""

import signal
import sys
import threading
from collections import Counter as Tally
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_shared.contracts.runs import RunState
from mnist_shared.errors import BrokerUnreachable, ContractError, InvalidInput, MissingPart, MnistError
from mnist_shared.settings import Settings
from mnist_shared.storage.connection import broker_errors, connect, now_ms
from mnist_shared.storage.counts import Census
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.serving import read_records
from mnist_shared.storage.workers import WorkerRegistry

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector
    from redis import Redis

MAX_RUNNING = 1000  # runs whose speed is told: one a worker
WORKER_STATES = ("starting", "idle", "busy", "draining", "drained")
# The field of `Keys.counters` -> the counter's name and its help.
COUNTERS = {
    "submitted": ("mnist_runs_submitted", "Runs submitted"),
    "attempts": ("mnist_attempts", "Claims of a run by a worker"),
    "attempts_lost": ("mnist_recoveries", "Attempts whose worker was lost; the run was queued again, or given up"),
    "attempts_failed": ("mnist_retries", "Attempts that failed and were queued again"),
    "handed_back": ("mnist_hand_backs", "Attempts handed back by a worker that was stopped"),
    "woken": ("mnist_wake_ups", "Messages that were lost and sent again"),
    "epochs": ("mnist_epochs", "Epochs trained"),
}


def read_metrics(redis: "Redis") -> Iterator["Metric"]:
    """Everything there is to tell at this moment. Raises BrokerUnreachable."""
    from prometheus_client.core import CounterMetricFamily as Counter
    from prometheus_client.core import GaugeMetricFamily as Gauge

    queue, registry, store = Queue(redis), WorkerRegistry(redis), RunStore(redis)
    keys = store.keys
    view, now = queue.view(), now_ms(redis)
    yield Gauge("mnist_queue_running", "Runs under way", value=view.running)
    yield Gauge("mnist_queue_blocked", "Runs that wait for another run to succeed", value=view.blocked)
    yield Gauge("mnist_queue_quarantined", "What was found in the queue and is no message", value=view.quarantined)
    yield Gauge("mnist_queue_paused", "1 while the queue is paused", value=view.paused is not None)
    oldest = now / 1000 - view.oldest_queued_at.timestamp() if view.oldest_queued_at else 0.0
    yield Gauge("mnist_queue_oldest_seconds", "For how long the run that is served next has waited", value=oldest)
    depth = Gauge("mnist_queue_depth", "Runs that wait for a worker", labels=["priority"])
    for priority, number in view.by_priority.items():
        depth.add_metric([priority], number)
    yield depth
    states = Census(redis, keys=keys).by_state()
    runs = Gauge("mnist_runs", "Runs whose records are kept", labels=["state"])
    for each in RunState:
        runs.add_metric([each], states.get(each, 0))
    yield runs

    with broker_errors(redis):
        pipeline: Any = redis.pipeline(transaction=False)
        pipeline.hgetall(keys.counters)
        pipeline.zrange(keys.leases, 0, MAX_RUNNING - 1)
        pipeline.info()
        counted, running, server = pipeline.execute()
    for field, (name, help_text) in COUNTERS.items():
        yield Counter(name, help_text, value=int(counted.get(field, 0)))
    ended = Counter("mnist_runs_ended", "Runs that have ended", labels=["state"])
    for each in RunState:
        if each.is_final:
            ended.add_metric([each], int(counted.get(each, 0)))
    yield ended

    present = registry.present()
    by_state: Tally[str] = Tally(worker.info.state for worker in present)
    workers = Gauge("mnist_workers", "Workers that are there", labels=["state"])
    for state in WORKER_STATES:
        workers.add_metric([state], by_state[state])
    yield workers
    yield Gauge("mnist_workers_lost", "Workers that fell silent within a day", value=len(registry.lost()))
    about = Gauge("mnist_worker_info", "A worker", labels=["worker", "host", "device", "gpu"])
    used = Gauge("mnist_gpu_utilization_ratio", "Share of the time in which a kernel ran", labels=["worker", "gpu"])
    memory = Gauge("mnist_gpu_memory_used_bytes", "Memory of the GPU in use, by anybody", labels=["worker", "gpu"])
    for worker in present:
        device = worker.info.device
        gpu = (device and device.uuid) or ""
        about.add_metric([worker.info.name, worker.info.host, device.kind if device else "", gpu], 1)
        if worker.info.gpu:
            used.add_metric([worker.info.name, gpu], worker.info.gpu.utilization)
            memory.add_metric([worker.info.name, gpu], worker.info.gpu.memory_used_bytes)
    speed = Gauge("mnist_images_per_second", "Speed of the run under way", labels=["worker"])
    for record in read_records(store, running).values():
        if record.worker and record.progress and record.progress.images_per_second is not None:
            speed.add_metric([record.worker], record.progress.images_per_second)
    yield from (about, used, memory, speed)

    yield Gauge("mnist_broker_memory_bytes", "Memory that Redis uses", value=server["used_memory"])
    limit = Gauge("mnist_broker_memory_limit_bytes", "Memory that Redis may use", value=server.get("maxmemory", 0))
    healthy = server.get("aof_enabled") == 1 and server.get("aof_last_write_status") == "ok"
    persistent = Gauge("mnist_broker_persistent", "1 while Redis writes what it is told to its disk", value=healthy)
    yield from (limit, persistent)


def make_collector(redis: "Redis") -> "Collector":
    """A collector that asks at each scrape; without a broker it tells `mnist_up 0` and nothing else."""
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

    class QueueCollector(Collector):
        def collect(self) -> Iterator["Metric"]:
            up = 1
            try:
                yield from list(read_metrics(redis))
            except (BrokerUnreachable, ContractError) as error:
                print(f"warning: {error}", file=sys.stderr, flush=True)
                up = 0
            yield GaugeMetricFamily("mnist_up", "1 when the broker answered this scrape", value=up)

        def describe(self) -> list["Metric"]:
            return []  # or the registry would ask the broker when this is registered

    return QueueCollector()


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def export(
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="MNIST_METRICS_PORT", help="0: any that is free.")
    ] = 9108,
    address: Annotated[
        str, typer.Option(envvar="MNIST_METRICS_ADDRESS", help="0.0.0.0 to be reached from other machines.")
    ] = "127.0.0.1",
    broker: Annotated[str | None, typer.Option(help="Broker URL; else MNIST_BROKER_URL.")] = None,
) -> None:
    """Serve /metrics for Prometheus until told to stop. There is no password on it: keep it on a network of yours."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as error:
        raise MissingPart(
            "prometheus-client is not installed.", hint="Install it with: pip install 'mnist-worker[metrics]'"
        ) from error
    url = Settings.from_environment(broker=broker).broker_url
    if url is None:
        raise InvalidInput("No broker is configured.", hint="Set MNIST_BROKER_URL.")
    registry = CollectorRegistry()
    registry.register(make_collector(connect(url)))
    try:
        server, thread = start_http_server(port, addr=address, registry=registry)
    except OSError as error:
        raise InvalidInput(
            f"{address}:{port} cannot be listened on: {error}.", hint="Choose another --port."
        ) from error
    print(f"http://{address}:{server.server_port}/metrics", file=sys.stderr, flush=True)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    server.shutdown()
    server.server_close()
    thread.join()


def main() -> None:
    """The console script: one line for what a user can cause."""
    try:
        app()
    except MnistError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
