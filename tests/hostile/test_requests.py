"""Requests that no client of ours would write: each is refused with a clear error, and harms nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from mnist_shared.contracts.base import MAX_DOCUMENT_LENGTH
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import RunState, SubmitOptions
from mnist_shared.errors import ContractError, InvalidInput
from mnist_shared.storage.connection import connect
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from tests.conftest import Server
from tests.processes import Worker, eventually

CONFIG = TrainConfig(dataset="digits", epochs=2, log_interval=1)
TRAIN = TrainRequest(config=CONFIG)
RESUME = ResumeRequest(parent="0123456789ab", config=CONFIG)
EVALUATE = EvaluateRequest(target="0123456789ab", config=CONFIG)


def changed(request: TrainRequest | ResumeRequest | EvaluateRequest, **fields: Any) -> str:
    return json.dumps(json.loads(request.model_dump_json()) | fields)


def configured(**fields: Any) -> str:
    return changed(TRAIN, config=json.loads(CONFIG.model_dump_json()) | fields)


HOSTILE_REQUESTS = {
    "a parent that is a path": changed(RESUME, parent="../../../etc"),
    "a parent with a line's end": changed(RESUME, parent="0123456789ab\n"),
    "a target that is a path": changed(EVALUATE, target="/etc/passwd"),
    "a data set that is a path": configured(dataset="../../etc"),
    "a data set of the user's that is a path": configured(dataset="own/../../../etc"),
    "epochs without end": configured(epochs=10**18),
    "a batch of everything": configured(batch_size=10**12),
    "no number": '{"schema_version": 1, "kind": "train", "config": {"lr": NaN}}',
    "an infinite rate": configured(lr=1e400),
    "a list for a number": configured(epochs=[1] * 1000),
    "an unknown field": changed(TRAIN, callback="os.system"),
    "an unknown kind": changed(TRAIN, kind="shell"),
    "another version": changed(TRAIN, schema_version=2),
    "nested 10,000 deep": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "nested 10,000 deep inside a field": configured(preset=0).replace('"preset": 0', '"preset": ' + "[" * 10_000),
    "a pickle": "\x80\x04cos\nsystem\n(S'touch hacked'\ntR.",
    "nothing": "",
    "100 MB": configured(dataset="x" * 100_000_000),
    "100 MB of nothing": " " * 100_000_000,
}
HOSTILE_OPTIONS = {
    "a name that is a path": {"name": "../../etc"},
    "a name with an escape sequence": {"name": "a\x1b[31m"},
    "a tag that is a path": {"tags": ["../x"]},
    "10,000 tags": {"tags": ["a"] * 10_000},
    "retries without end": {"retries": 10**9},
    "a run that is a path to come after": {"after": "../../../etc"},
}


@pytest.fixture
def store(client: Redis) -> RunStore:
    return RunStore(client)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], list[str]]:
    """All files there are below the test's folder, besides logs."""

    def listed() -> list[str]:
        return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.suffix != ".log")

    return listed


def test_a_worker_refuses_every_hostile_record_and_serves_the_run_behind(
    store: RunStore, server: Server, start_worker: Callable[..., Worker], files: Callable[[], list[str]]
) -> None:
    worker = start_worker("worker-1", server).wait_until_ready(store.redis)
    queue = Queue(store.redis)
    queue.pause()
    bad = {}
    for what, text in HOSTILE_REQUESTS.items():
        bad[what] = store.submit(TRAIN).run_id
        store.redis.hset(store.keys.run(bad[what]), "request", text)
    for what, fields in HOSTILE_OPTIONS.items():
        bad[what] = store.submit(TRAIN).run_id
        text = json.dumps(json.loads(SubmitOptions().model_dump_json()) | fields)
        store.redis.hset(store.keys.run(bad[what]), "options", text)
    good = store.submit(TRAIN).run_id
    before = files()
    queue.resume()

    def states() -> dict[str, str | None]:
        return {what: store.redis.hget(store.keys.run(run_id), "state") for what, run_id in bad.items()}

    eventually(lambda: set(states().values()) == {"failed"}, what="an end of all", seconds=60)
    eventually(lambda: store.get(good).state is RunState.SUCCEEDED, what="the run behind them")
    assert worker.process.poll() is None
    for what, run_id in bad.items():
        error = json.loads(store.redis.hget(store.keys.run(run_id), "error") or "{}")
        assert error["kind"] == "ContractError", what
        assert len(error["message"]) < 500, what
        assert error["hint"], what
    new = {file for file in set(files()) - set(before) if good not in file}
    assert new <= {"storage", "storage/runs"}
    assert "Traceback" not in worker.log


def test_hostile_records_do_not_keep_others_from_being_listed(store: RunStore) -> None:
    for text in HOSTILE_REQUESTS.values():
        run_id = store.submit(TRAIN).run_id
        store.redis.hset(store.keys.run(run_id), "request", text[: 2 * MAX_DOCUMENT_LENGTH])
    good = store.submit(TRAIN).run_id
    unreadable: list[ContractError] = []
    assert [record.id for record in store.latest(100, on_unreadable=unreadable.append)] == [good]
    assert len(unreadable) == len(HOSTILE_REQUESTS)
    with pytest.raises(ContractError):
        store.get(run_id)


@pytest.mark.parametrize("run_id", ["../../etc/x", "0123456789ab/..", "0123456789ab\n", "", "*", "x" * 10_000_000])
def test_no_key_and_no_path_is_built_from_what_is_no_run_id(store: RunStore, run_id: str) -> None:
    for ask in (store.get, store.cancel, store.position, store.children):
        with pytest.raises(InvalidInput, match="is not a run id") as caught:
            ask(run_id)
        assert len(str(caught.value)) < 300
    with pytest.raises(InvalidInput):
        store.submit(TRAIN, run_id=run_id)


@pytest.fixture
def strict_server(own_server: Server) -> Iterator[Redis]:
    """With the limits that deploy/redis/redis.conf sets."""
    with own_server.client() as admin:
        lines = Path("deploy/redis/redis.conf").read_text().splitlines()
        limits = dict(line.split() for line in lines if line.startswith(("proto-max", "client-query")))
        assert len(limits) == 2
        for name, value in limits.items():
            admin.config_set(name, value)
    client = connect(own_server.url)
    yield client
    client.close()


def test_the_server_takes_no_100_mb_at_all(strict_server: Redis) -> None:
    used = int(strict_server.info("memory")["used_memory"])
    with pytest.raises(Exception, match=r"(?i)connection|reset|invalid bulk|broken pipe|timeout"):
        strict_server.hset("mnist:run:0123456789ab", "request", "x" * 100_000_000)
    assert strict_server.exists("mnist:run:0123456789ab") == 0
    assert int(strict_server.info("memory")["used_memory"]) < used + 16_000_000
