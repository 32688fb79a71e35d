"""The Celery message that wakes a worker up: it carries a run's id, and nothing else that matters.

The envelope is that of Celery's message protocol 2 as kombu's Redis transport lays it out in a list
(https://docs.celeryq.dev/en/stable/internals/protocol.html), written here so that a submit script can push it in the
same atomic step as the record, and so that a client needs no Celery.
"""

import base64
import json

from mnist_shared.contracts.requests import QUEUE, TASK_NAMES


def wake_up_message(run_id: str, *, kind: str) -> str:
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
        "priority": 0,
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
