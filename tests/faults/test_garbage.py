"""Whatever lies in the broker's list, a worker survives it and serves the run behind it."""

import base64
import itertools
import json
from collections.abc import Callable

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunState
from mnist_shared.storage.keys import PRIORITY_STEPS
from mnist_shared.storage.messages import wake_up_message, why_unusable
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from tests.conftest import Server
from tests.processes import Worker, eventually, wait_for_state

GOOD = json.loads(wake_up_message("0123456789ab", kind="train", priority="normal"))


def body_of(*parts: object) -> str:
    return base64.b64encode(json.dumps(parts).encode()).decode()


def changed(**fields: object) -> bytes:
    return json.dumps(GOOD | fields).encode()


EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
GARBAGE = {
    "bytes": b"\xff\xfe\x00garbage",
    "nothing": b"",
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "an empty envelope": b"{}",
    "no headers": changed(headers=None),
    "no properties": changed(properties=None),
    "no delivery information": changed(properties={"body_encoding": "base64"}),
    "properties of the wrong kind": changed(properties=[1]),
    "an unknown task": changed(headers=GOOD["headers"] | {"task": "os.system"}),
    "a task that is no name": changed(headers=GOOD["headers"] | {"task": {"a": 1}}),
    "an id that is a path": changed(headers=GOOD["headers"] | {"id": "../../../etc"}),
    "an unknown priority": changed(properties=GOOD["properties"] | {"priority": 5}),
    "a priority that is no number": changed(properties=GOOD["properties"] | {"priority": [3]}),
    "an eta that is no time": changed(headers=GOOD["headers"] | {"eta": "soon"}),
    "bad base64": changed(body="%%%"),
    "a body that is no JSON": changed(body=base64.b64encode(b"\x80\x04pickle").decode()),
    "a pickle": changed(**{"body": "Y29zCnN5c3RlbQo=", "content-type": "application/x-python-serialize"}),
    "another content type": changed(**{"content-type": "application/x-yaml"}),
    "no arguments": changed(body=body_of([], {}, EMBED)),
    "wrong arguments": changed(body=body_of([{"a": 1}], {}, EMBED)),
    "arguments for another run": changed(body=body_of(["ba9876543210"], {}, EMBED)),
    "a callback": changed(body=body_of(["0123456789ab"], {}, EMBED | {"callbacks": [{"task": "mnist.train"}]})),
    "nested 10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "huge": b'{"a": "' + b"x" * 1_000_000 + b'"}',
}  # fmt: skip


def test_a_message_of_ours_is_usable_also_when_delivered_again() -> None:
    again = GOOD | {
        "headers": GOOD["headers"] | {"redelivered": True},
        "properties": GOOD["properties"] | {"delivery_tag": "other"},
    }
    assert why_unusable(json.dumps(GOOD).encode()) is None
    assert why_unusable(json.dumps(again).encode()) is None


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_recognised(kind: str) -> None:
    assert why_unusable(GARBAGE[kind])


def test_all_garbage_at_once_does_not_stop_a_worker(
    server: Server, client: Redis, start_worker: Callable[..., Worker]
) -> None:
    store, queue = RunStore(client), Queue(client)
    lists = itertools.cycle(store.keys.messages(priority) for priority in PRIORITY_STEPS)
    for garbage in list(GARBAGE.values())[::2]:  # before the worker starts
        client.lpush(next(lists), garbage)
    worker = start_worker("worker-1", server).wait_until_ready(client)
    for garbage in list(GARBAGE.values())[1::2]:  # and while it lives
        client.lpush(next(lists), garbage)
    run_id = store.submit(TrainRequest(config=TrainConfig(dataset="digits", epochs=2, log_interval=1))).run_id
    assert wait_for_state(store, run_id).state is RunState.SUCCEEDED
    # What lies behind it, in the list of a lower priority, is taken after it.
    eventually(lambda: queue.view().quarantined == len(GARBAGE), what="all garbage in quarantine")
    assert worker.process.poll() is None
    reasons = {entry.reason for entry in queue.quarantined(100)}
    assert {"not JSON", "unknown task 'os.system'", "its id is not a run id"} <= reasons
    assert all(len(entry.beginning) < 1000 for entry in queue.quarantined(100))
