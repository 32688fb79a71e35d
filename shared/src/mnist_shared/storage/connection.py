"""A connection to Redis, and its errors in this project's words."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from mnist_shared.errors import BrokerRefused, BrokerUnreachable, InvalidInput, MnistError
from mnist_shared.settings import without_secrets
from mnist_shared.storage.quick import QuickRedis, is_plain

if TYPE_CHECKING:
    from redis import Redis

OPERATOR = "operator"  # of the roles in deploy/redis/users.acl.template: who may do what concerns everybody
SOCKET_TIMEOUT_SECONDS = 5.0
QUICK_TIMEOUT_SECONDS = 2.0  # then redis-py tries, with its own


def connect(url: str, *, retries: int = 1) -> "Redis":
    """A client for the server at `url`; nothing is sent yet.

    Every write of this project is safe to repeat (nonces, numbered events, states), so a call whose connection broke
    is tried `retries` times more.

    Raises:
        InvalidInput: this is no Redis URL.
    """
    from redis import Redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_keepalive=True,
            **_without_driver_info(),
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries),
        )
    except ValueError as error:
        raise InvalidInput(
            f"{without_secrets(url)!r} is not a broker URL: {error}.",
            hint="Write it as redis://[:PASSWORD@]HOST:PORT/0.",
        ) from error


def connect_quickly(url: str) -> "Redis":
    """The same for a command that makes a few calls and ends: redis-py is loaded only if they need it (`quick`)."""
    if not is_plain(url):
        return connect(url)
    return cast("Redis", QuickRedis(url, make=lambda: connect(url), timeout_seconds=QUICK_TIMEOUT_SECONDS))


def _without_driver_info() -> dict[str, None]:
    """Do not tell the server redis-py's version: looking it up takes each process 15 ms. Old ones lack the option."""
    return {"driver_info": None} if "redis.driver_info" in sys.modules else {}


@contextmanager
def broker_errors(client: "Redis", *, role: str = "") -> Iterator[None]:
    """Turn redis-py's errors into ours. `role` is the one that it takes, where a client's is not enough.

    Raises:
        BrokerRefused: wrong password, missing permission, or a server that is no Redis.
        BrokerUnreachable: everything else that ends a conversation.
    """
    try:
        yield
    except MnistError:
        raise
    except Exception as error:
        ours = _in_our_words(client, error, role)
        if ours is None:
            raise
        raise ours from error


def _in_our_words(client: "Redis", error: Exception, role: str) -> MnistError | None:
    """What an error of the conversation means; None when it is none of those."""
    # Early enough: loading redis-py takes a command a third of its time.
    from redis import exceptions

    if isinstance(error, exceptions.NoPermissionError):
        return _refused(client, error, role)
    if isinstance(error, exceptions.AuthenticationError):
        return _refused(client, error)
    if isinstance(error, exceptions.BusyLoadingError):
        return BrokerUnreachable(
            f"The broker at {address(client)} is still loading its data.", hint="Try again in a moment."
        )
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError | OSError):
        return BrokerUnreachable(
            f"No broker answers at {address(client)} ({_first_line(error)}).",
            hint="Start one with `mnist-client up`, or set MNIST_BROKER_URL to where it runs.",
        )
    if isinstance(error, exceptions.ReadOnlyError):
        return BrokerRefused(
            f"The broker at {address(client)} is a read-only replica.", hint="Point MNIST_BROKER_URL at the primary."
        )
    if isinstance(error, exceptions.ResponseError):
        text = str(error)
        # The second is what Redis 7.0 says inside a script, the third what newer ones and Valkey say there.
        if text.startswith(("NOPERM", "The user executing the script can't", "ACL failure in script")):
            return _refused(client, error, role)
        if text.startswith(("NOAUTH", "WRONGPASS")) or "uthentication" in text:
            return _refused(client, error)
        if isinstance(error, exceptions.OutOfMemoryError) or text.startswith(("OOM", "MISCONF", "LOADING")):
            return BrokerUnreachable(
                f"The broker at {address(client)} cannot write: {_first_line(error)}.",
                hint="Look at the memory and the disk of its machine.",
            )
        return None
    if isinstance(error, exceptions.RedisError):
        return BrokerRefused(
            f"What answers at {address(client)} is not a Redis server ({_first_line(error)}).",
            hint="Check host and port in MNIST_BROKER_URL or --broker.",
        )
    return None


def now_ms(client: "Redis") -> int:
    """The server's time, the only one anybody trusts."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def address(client: "Redis") -> str:
    """Host and port, never the password."""
    options = client.connection_pool.connection_kwargs
    return str(options["path"]) if "path" in options else f"{options.get('host')}:{options.get('port')}"


def _refused(client: "Redis", error: Exception, role: str = "") -> BrokerRefused:
    what = f"This is for the role `{role}`: give its" if role else "Check"
    return BrokerRefused(
        f"The broker at {address(client)} refuses: {_first_line(error)}.",
        hint=f"{what} user and password in MNIST_BROKER_URL or --broker.",
    )


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r" script: [0-9a-f]{40}, on .*", "", line).rstrip(".")[:160]
