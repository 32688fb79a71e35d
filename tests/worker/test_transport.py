"""What becomes of a message between the queue and the pool process."""

import json
from typing import cast

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.keys import Keys
from mnist_shared.storage.messages import why_unusable
from mnist_shared.storage.runs import RunStore
from mnist_worker.app import make_app
from mnist_worker.transport import Channel
from tests.conftest import Server


def test_a_message_that_a_stopping_worker_has_not_begun_is_the_next_for_others(
    server: Server, client: Redis, store: RunStore
) -> None:
    keys = Keys()
    app = make_app(server.url, keys=keys, on_unusable=lambda *_: None, is_ready=lambda: True)
    first, second = (store.submit(TrainRequest(config=TrainConfig())).run_id for _ in range(2))
    popped: list[str] = []
    with app.connection() as connection, app.amqp.TaskConsumer(connection) as consumer:
        consumer.on_message = lambda message: popped.append(message.headers["id"])
        consumer.qos(prefetch_count=1)
        connection.drain_events(timeout=10)
        assert popped == [first]
        assert not client.keys(f"{keys.prefix}unacked*")  # nothing of it in Redis meanwhile
    first_again, other = cast(list[str], client.lrange(keys.messages("normal"), 0, -1))[
        ::-1
    ]  # BRPOP takes from the right
    assert why_unusable(first_again.encode()) is None
    assert [json.loads(message)["headers"]["id"] for message in (first_again, other)] == [first, second]


def test_a_message_that_cannot_be_put_back_is_left_to_the_reaper_and_to_no_file(
    server: Server, store: RunStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("the server is gone")

    app = make_app(server.url, keys=Keys(), on_unusable=lambda *_: None, is_ready=lambda: True)
    store.submit(TrainRequest(config=TrainConfig()))
    popped: list[str] = []
    with app.connection() as connection, app.amqp.TaskConsumer(connection) as consumer:
        consumer.on_message = lambda message: popped.append(message.headers["id"])
        consumer.qos(prefetch_count=1)
        connection.drain_events(timeout=10)
        assert popped
        monkeypatch.setattr(Channel, "_do_restore_message", refuse)
    assert "was not put back (ConnectionError)" in caplog.text
    assert "UNABLE TO RESTORE" not in caplog.text
