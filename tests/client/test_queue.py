"""`queue`, `reindex` and `cancel --force`."""

import json
from collections.abc import Callable
from pathlib import Path

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import Finished
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunFile, RunState, SubmitOptions
from mnist_shared.storage.archive import write_events
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.volume.run_folder import RunFolder
from tests.client.conftest import Cli
from tests.client.owner import Owner


def test_queue_shows_its_depth_and_the_quarantine_with_reasons(
    cli: Cli, store: RunStore, submitted: Callable[..., str]
) -> None:
    assert cli("queue").stdout.splitlines() == ["waiting     0 runs", "running     0 runs"]
    parent = submitted()
    store.submit(TrainRequest(config=TrainConfig()), options=SubmitOptions(priority="high"))
    store.submit(TrainRequest(config=TrainConfig()), options=SubmitOptions(after=parent))
    Queue(store.redis).quarantine(b"\x1b[2Jgarbage", reason="not JSON", worker="worker-1")
    waiting, blocked, running, quarantine, entry = cli("queue").stdout.splitlines()
    assert waiting.startswith("waiting     2 runs (1 high, 1 normal); the next one for ")
    assert blocked == "blocked     1 run until another has succeeded"
    assert running == "running     0 runs"
    assert quarantine == "quarantine  1 message that no worker could take"
    assert entry.endswith("s ago, worker-1: not JSON: b'\\x1b[2Jgarbage' (11 bytes)")
    document = json.loads(cli("queue", "--json").stdout)
    assert (document["waiting"], document["blocked"], document["num_quarantined"]) == (2, 1, 1)
    assert document["by_priority"] == {"high": 1, "normal": 1, "low": 0}
    assert document["quarantined"][0]["worker"] == "worker-1"


def test_a_paused_queue_says_since_when_and_goes_on_when_told(
    cli: Cli, store: RunStore, submitted: Callable[..., str]
) -> None:
    run_id = submitted()
    done = cli("queue", "pause")
    assert (done.returncode, done.stdout) == (0, "the queue is paused\n")
    assert "mnist-client queue resume" in done.stderr
    assert store.claim(run_id, worker="worker-1") is None
    assert "paused already" in cli("queue", "pause").stdout
    assert cli("queue").stdout.startswith("paused      for ")
    assert json.loads(cli("queue", "--json").stdout)["paused_at"]
    assert json.loads(cli("queue", "resume", "--json").stdout) == {"paused": False, "was_paused": True}
    assert store.claim(run_id, worker="worker-1") is not None
    assert cli("queue", "resume").stdout == "the queue was not paused\n"


def test_reindex_brings_lost_records_back(cli: Cli, store: RunStore, tmp_path: Path) -> None:
    request = TrainRequest(config=TrainConfig(dataset="digits"))
    grant = store.claim(store.submit(request).run_id, worker="w")
    assert grant
    folder = RunFolder(tmp_path / "storage" / "runs", grant.run_id)
    folder.path.mkdir(parents=True)
    run_file = RunFile(id=grant.run_id, request=request, num_threads=1, device="cpu", versions={})
    folder.run_file.write_text(run_file.model_dump_json())
    last = Finished(state=RunState.CANCELLED)
    write_events(folder, EventLog(store.redis).replay(grant.run_id), last, attempt=1)
    store.redis.flushall()
    assert cli("status", grant.run_id).returncode == 102
    done = cli("reindex")
    assert (done.returncode, done.stdout) == (0, "1 run restored, 0 queued again, 0 had a record\n")
    assert "cancelled" in cli("status", grant.run_id).stdout
    assert json.loads(cli("reindex", "--json").stdout)["known"] == [grant.run_id]


def test_reindex_without_the_volume_says_so(cli: Cli, tmp_path: Path) -> None:
    done = cli("--storage", str(tmp_path / "nowhere"), "reindex", MNIST_BROKER_URL=cli.environment["MNIST_BROKER_URL"])
    assert done.returncode == 1
    assert "cannot be read" in done.stderr


def test_a_forced_cancel_ends_a_running_run_at_once(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owned()
    assert "cancelled" in cli("cancel", "last", "--force").stdout
    assert store.get(store.resolve("last")).state is RunState.CANCELLED


def test_one_unreadable_record_does_not_hide_the_others(
    cli: Cli, store: RunStore, submitted: Callable[..., str]
) -> None:
    broken, good = submitted(), submitted()
    store.redis.hset(store.keys.run(broken), "request", "{")
    done = cli("status")
    assert done.returncode == 0
    assert good in done.stdout
    assert "not valid JSON" in done.stderr
