"""The Celery message that wakes a worker up: it carries a run's id, and nothing else that matters.

The envelope is that of Celery's message protocol 2 as kombu's Redis transport lays it out in a list
(https://docs.celeryq.dev/en/stable/internals/protocol.html), written here so that a submit script can push it in the
same atomic step as the record, and so that a client needs no Celery.
"""

import base64
import json
from typing import Any

from mnist_shared.contracts.names import RUN_ID_PATTERN, matches
from mnist_shared.contracts.requests import QUEUE, TASK_NAMES
from mnist_shared.contracts.runs import Priority
from mnist_shared.storage.keys import PRIORITY_STEPS


def wake_up_message(run_id: str, *, kind: str, priority: Priority) -> str:
    """The JSON envelope for a run of `kind` ("train", "resume", "evaluate")."""
    body = json.dumps([[run_id], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    headers = {
        "lang": "py",
        "task": TASK_NAMES[kind],
        "id": run_id,
        "root_id": run_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": f"('{run_id}',)",
        "kwargsrepr": "{}",
        "origin": "mnist-client",
        "ignore_result": True,
    }
    properties = {
        "correlation_id": run_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "priority": PRIORITY_STEPS[priority],
        "body_encoding": "base64",
        "delivery_tag": run_id,
    }
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
    )


MAX_MESSAGE_BYTES = 16_384  # ours have about 800


def why_unusable(message: bytes) -> str | None:
    """What is wrong with something found in the queue; None when it is a wake-up message that a worker can take.

    Celery trusts its broker: what is no JSON, or has a wrong envelope, would end a worker's main process.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        return f"{len(message):,} bytes are too many for a message"
    try:
        envelope: Any = json.loads(message)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(envelope, dict):
        return "not an envelope"
    headers, properties = envelope.get("headers"), envelope.get("properties")
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        return "an envelope without headers or properties"
    if not isinstance(properties.get("delivery_info"), dict) or not isinstance(properties.get("delivery_tag"), str):
        return "an envelope without delivery information"
    if headers.get("task") not in TASK_NAMES.values():
        return f"unknown task {headers.get('task')!r:.60}"
    run_id = headers.get("id")
    if not isinstance(run_id, str) or not matches(run_id, RUN_ID_PATTERN):
        return "its id is not a run id"
    kinds = [kind for kind, task in TASK_NAMES.items() if task == headers["task"]]
    # By type too: JSON's true and 3.0 are equal to Python's 1 and 3.
    step = properties.get("priority")
    priorities = [priority for priority, its in PRIORITY_STEPS.items() if type(step) is int and step == its]
    if not priorities:
        return f"unknown priority {step!r:.60}"
    ours = json.loads(wake_up_message(run_id, kind=kinds[0], priority=priorities[0]))
    return None if _meaning(envelope) == _meaning(ours) else "not written as this project writes its messages"


def _meaning(envelope: dict[str, Any]) -> dict[str, Any]:
    """An envelope without what kombu changes when it puts an unacknowledged message back."""

    def without(part: str, *names: str) -> dict[str, Any]:
        return {name: value for name, value in envelope[part].items() if name not in names}

    return envelope | {
        "headers": without("headers", "redelivered"),
        "properties": without("properties", "delivery_tag", "delivery_info"),
    }
