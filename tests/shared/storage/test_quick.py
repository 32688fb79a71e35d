"""The quick connection answers as redis-py does, and leaves to it whatever it does not know or cannot do."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.errors import BrokerRefused, BrokerUnreachable
from mnist_shared.storage.connection import broker_errors, connect, connect_quickly
from mnist_shared.storage.quick import COMMANDS, QuickRedis, is_plain
from mnist_shared.storage.runs import RunStore
from tests.conftest import Server


@pytest.fixture
def quick(server: Server, client: Redis) -> QuickRedis:
    """On a server that holds a little of everything."""
    client.hset("hash", mapping={"a": "1", "snow": "☃ größer\r\n"})
    client.set("text", "x" * 100_000)
    client.zadd("sorted", {"one": 1, "two": 2.5, "three": 3})
    client.sadd("set", "member")
    client.rpush("list", "a", "b")
    client.xadd("stream", {"event": "one", "more": "ä"})
    client.xadd("stream", {"event": "two"})
    found = connect_quickly(server.url)
    assert isinstance(found, QuickRedis)
    return found


def stayed_quick(redis: QuickRedis) -> bool:
    return redis._real is None


def plain(answer: Any) -> Any:
    """Lists for tuples: redis-py makes the one or the other, by the protocol's version."""
    return [plain(item) for item in answer] if isinstance(answer, list | tuple) else answer


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("hget", ("hash", "snow"), {}),
    ("hget", ("hash", "none"), {}),
    ("hmget", ("hash", ["a", "none", "snow"]), {}),
    ("mget", (["text", "none"],), {}),
    ("get", ("text",), {}),
    ("exists", ("text",), {}),
    ("zcard", ("sorted",), {}),
    ("zrank", ("sorted", "two"), {}),
    ("zrank", ("sorted", "none"), {}),
    ("zrevrange", ("sorted", 0, 1), {}),
    ("zrange", ("sorted", 0, -1), {}),
    ("zrange", ("sorted", 0, -1), {"withscores": True}),
    ("zrange", ("nothing", 0, -1), {}),
    ("zrange", ("sorted", 2, "(3"), {"byscore": True, "offset": 0, "num": 1}),
    ("zcount", ("sorted", 1, "(3"), {}),
    ("llen", ("list",), {}),
    ("scard", ("set",), {}),
    ("smembers", ("set",), {}),
    ("xrange", ("stream",), {}),
    ("srandmember", ("set", 5), {}),
    ("eval", ("return {1, 'two', {3, false}, ARGV[1]}", 0, "ö"), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), CALLS)
def test_each_call_answers_as_redis_py_does(
    quick: QuickRedis, client: Redis, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    expected = getattr(client, name)(*arguments, **options)
    found = getattr(quick, name)(*arguments, **options)
    assert plain(found) == plain(expected)
    assert type(found) is type(expected)
    assert stayed_quick(quick)


def test_every_call_that_is_spoken_is_compared() -> None:
    assert {name for name, _, _ in CALLS} | {"time"} == set(COMMANDS)


def test_the_servers_time_is_seconds_and_microseconds(quick: QuickRedis, client: Redis) -> None:
    seconds, microseconds = quick.time()
    assert 0 <= client.time()[0] - seconds <= 60
    assert 0 <= microseconds < 1_000_000


def test_a_pipeline_sends_all_together_and_answers_in_order(quick: QuickRedis) -> None:
    pipeline = quick.pipeline(transaction=False)
    pipeline.hget("hash", "a")
    pipeline.zcard("sorted")
    pipeline.hmget("hash", ["none"])
    assert pipeline.execute() == ["1", 3, [None]]
    assert pipeline.execute() == []
    assert stayed_quick(quick)


def test_in_a_transaction_the_answers_are_those_of_one_moment(quick: QuickRedis) -> None:
    pipeline = quick.pipeline()
    pipeline.zrange("sorted", 0, 0, withscores=True)
    pipeline.llen("list")
    assert pipeline.execute() == [[("one", 1.0)], 2]
    assert stayed_quick(quick)


@pytest.mark.parametrize(
    "call",
    [
        lambda redis: redis.ping(),  # not among the calls
        lambda redis: redis.zrange("sorted", 0, 1, desc=True),  # an option that is not spoken
        lambda redis: redis.pipeline(transaction=False).zcard("sorted").xlen("none").execute(),
    ],
)
def test_what_is_not_spoken_here_is_left_to_redis_py(quick: QuickRedis, call: Callable[[Any], Any]) -> None:
    assert call(quick)
    assert not stayed_quick(quick)
    assert quick.zcard("sorted") == 3


def test_an_error_is_redis_pys_own(quick: QuickRedis) -> None:
    from redis.exceptions import ResponseError

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        quick.hget("text", "a")
    assert quick.hget("hash", "a") == "1"


def test_a_connection_that_was_cut_is_made_anew_by_redis_py(quick: QuickRedis, client: Redis) -> None:
    assert quick.zcard("sorted") == 3
    client.client_kill_filter(_type="normal", skipme=True)
    assert quick.zcard("sorted") == 3


def test_user_password_and_database_are_those_of_the_url(server: Server, client: Redis) -> None:
    client.acl_setuser("anna", enabled=True, passwords=["+päss word"], keys=["*"], categories=["+@all"])
    try:
        url = server.url.replace("redis://", "redis://anna:p%C3%A4ss%20word@")[:-1] + "3"
        quick: Any = connect_quickly(url)
        assert quick.eval("redis.call('SET', 'here', 1) return 1", 0) == 1
        assert stayed_quick(quick)
        assert client.exists("here") == 0, "that is database 0"
        assert connect(url).get("here") == "1"
        wrong = connect_quickly(url.replace("p%C3%A4ss", "pass"))
        with pytest.raises(BrokerRefused), broker_errors(wrong):
            wrong.zcard("sorted")
    finally:
        client.flushall()
        client.acl_deluser("anna")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:7000/0", True),
        ("redis://user:p%40ss@host", True),
        ("redis://[::1]:7000", True),
        ("rediss://host:7000/0", False),
        ("unix:///run/redis.sock", False),
        ("redis://host/0?socket_timeout=1", False),
        ("redis://host/path", False),
        ("redis://host:port", False),
        ("redis://", False),
    ],
)
def test_only_plain_urls_are_spoken_here(url: str, expected: bool) -> None:
    assert is_plain(url) is expected


@pytest.fixture
def stranger() -> Iterator[int]:
    """Something that listens, and is no Redis."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()


def test_what_is_no_redis_is_told_as_before(stranger: int) -> None:
    redis = connect_quickly(f"redis://127.0.0.1:{stranger}/0")
    with pytest.raises(BrokerUnreachable), broker_errors(redis):
        redis.zcard("sorted")


def test_a_submission_repeated_by_redis_py_is_submitted_once(server: Server, client: Redis) -> None:
    quick: Any = connect_quickly(server.url)
    store = RunStore(quick)
    first = store.submit(TrainRequest(config=TrainConfig()))
    quick.ping()  # from here on redis-py
    store = RunStore(quick)
    again = store.submit(TrainRequest(config=TrainConfig()), run_id=first.run_id)
    assert again == first
    assert store.count() == 1


@pytest.mark.parametrize("words", [["submit", "train"], ["status"], ["status", "last"], ["workers"]])
def test_the_commands_typed_most_do_not_load_redis_py(
    server: Server, client: Redis, words: list[str], tmp_path: Path
) -> None:
    RunStore(client).submit(TrainRequest(config=TrainConfig()))
    code = f"import sys; from mnist_client.cli import run; code = run({words})"
    code += "; assert 'redis' not in sys.modules; sys.exit(code)"
    environment = os.environ | {"MNIST_BROKER_URL": server.url, "MNIST_STORAGE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
