"""A connection to Redis, and its errors in this project's words."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from mnist_shared.errors import BrokerRefused, BrokerUnreachable, InvalidInput

SOCKET_TIMEOUT_SECONDS = 5.0


def connect(url: str, *, retries: int = 1) -> Redis:
    """A client for the server at `url`; nothing is sent yet.

    Every write of this project is safe to repeat (nonces, numbered events, states), so a call whose connection broke
    is tried `retries` times more.

    Raises:
        InvalidInput: this is no Redis URL.
    """
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
            f"{without_password(url)!r} is not a broker URL: {error}.",
            hint="Write it as redis://[:PASSWORD@]HOST:PORT/0.",
        ) from error


def _without_driver_info() -> dict[str, None]:
    """Do not tell the server redis-py's version: looking it up takes each process 15 ms. Old ones lack the option."""
    return {"driver_info": None} if "redis.driver_info" in sys.modules else {}


def without_password(url: str) -> str:
    """`url` as it may be shown and logged."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}{port}"))
    except ValueError:
        return "(unreadable URL)"


@contextmanager
def broker_errors(client: Redis) -> Iterator[None]:
    """Turn redis-py's errors into ours.

    Raises:
        BrokerRefused: wrong password, missing permission, or a server that is no Redis.
        BrokerUnreachable: everything else that ends a conversation.
    """
    try:
        yield
    except (AuthenticationError, NoPermissionError) as error:
        raise _refused(client, error) from error
    except BusyLoadingError as error:
        raise BrokerUnreachable(
            f"The broker at {address(client)} is still loading its data.", hint="Try again in a moment."
        ) from error
    except (ConnectionError, TimeoutError, OSError) as error:
        raise BrokerUnreachable(
            f"No broker answers at {address(client)} ({_first_line(error)}).",
            hint="Start one with `mnist-client up`, or set MNIST_BROKER_URL to where it runs.",
        ) from error
    except ReadOnlyError as error:
        raise BrokerRefused(
            f"The broker at {address(client)} is a read-only replica.", hint="Point MNIST_BROKER_URL at the primary."
        ) from error
    except ResponseError as error:
        text = str(error)
        if text.startswith(("NOAUTH", "WRONGPASS", "NOPERM")) or "uthentication" in text:
            raise _refused(client, error) from error
        if isinstance(error, OutOfMemoryError) or text.startswith(("OOM", "MISCONF", "LOADING")):
            raise BrokerUnreachable(
                f"The broker at {address(client)} cannot write: {_first_line(error)}.",
                hint="Look at the memory and the disk of its machine.",
            ) from error
        raise
    except RedisError as error:
        raise BrokerRefused(
            f"What answers at {address(client)} is not a Redis server ({_first_line(error)}).",
            hint="Check host and port in MNIST_BROKER_URL or --broker.",
        ) from error


def now_ms(client: Redis) -> int:
    """The server's time, the only one anybody trusts."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def address(client: Redis) -> str:
    """Host and port, never the password."""
    options = client.connection_pool.connection_kwargs
    return str(options["path"]) if "path" in options else f"{options.get('host')}:{options.get('port')}"


def _refused(client: Redis, error: Exception) -> BrokerRefused:
    return BrokerRefused(
        f"The broker at {address(client)} refuses: {_first_line(error)}.",
        hint="Check user and password in MNIST_BROKER_URL or --broker.",
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:160]
