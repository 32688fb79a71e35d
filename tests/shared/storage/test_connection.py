"""A broker that is away, locked or no broker, in this project's words."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_shared.errors import BrokerRefused, BrokerUnreachable, InvalidInput
from mnist_shared.settings import without_secrets
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore
from tests.conftest import Server, free_port


@pytest.fixture
def babbler() -> Iterator[int]:
    """A server that speaks, but not Redis."""
    listener = socket.create_server(("127.0.0.1", 0))

    def babble() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            near.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            near.close()

    threading.Thread(target=babble, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_a_broker_that_is_away_is_unreachable() -> None:
    store = RunStore(connect(f"redis://127.0.0.1:{free_port()}/0"))
    with pytest.raises(BrokerUnreachable, match=r"No broker answers at 127\.0\.0\.1"):
        store.count()


def test_a_wrong_password_is_refused_and_not_shown(own_server: Server) -> None:
    with own_server.client() as admin:
        admin.config_set("requirepass", "right")
        for url in (own_server.url, own_server.url.replace("//", "//:wrong-secret@")):
            with pytest.raises(BrokerRefused, match="password") as caught:
                RunStore(connect(url)).count()
            assert "wrong-secret" not in str(caught.value)
        assert RunStore(connect(own_server.url.replace("//", "//:right@"))).count() == 0


def test_what_is_no_redis_is_said_to_be_none(babbler: int) -> None:
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{babbler}"):
        RunStore(connect(f"redis://127.0.0.1:{babbler}/0")).count()


@pytest.mark.parametrize("url", ["http://x", "redis", "redis://:secret@h:port/0", "redis://[::1", ""])
def test_what_is_no_broker_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="broker URL") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


def test_urls_are_shown_without_their_password() -> None:
    assert without_secrets("redis://:secret@host:1/0") == "redis://:***@host:1/0"
    assert without_secrets("rediss://user:secret@host/0") == "rediss://user:***@host/0"
    assert without_secrets("unix:///run/redis.sock") == "unix:///run/redis.sock"


def test_a_server_out_of_memory_says_so(own_server: Server, tmp_path: Path) -> None:
    with own_server.client() as admin:
        admin.config_set("maxmemory", 1)
    from tests.shared.storage.conftest import TRAIN

    with pytest.raises(BrokerUnreachable, match="cannot write"):
        RunStore(connect(own_server.url)).submit(TRAIN)
