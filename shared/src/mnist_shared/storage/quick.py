"""A connection for commands that live a quarter of a second: the few calls they make, without loading redis-py.

`import redis` takes 105 ms of the 250 that a command may take, most of it asyncio and clusters. So what `submit` and
`status` send is spoken right here, in RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/). All else
is left to redis-py, loaded then: every other call, every URL that is not plain, every call that went wrong in any way.
That one is made again there, which is safe for all that this project sends, and ends as it would have ended anyway.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from redis import Redis

Reply = Any  # str, int, None, or a list of these
Command = tuple[str | int, ...]
Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # a method of redis-py, and its arguments


class _Failed(Exception):
    """It did not work out here; redis-py will say why."""


# ---- the calls that are spoken here: the command, and what redis-py makes of the answer ------------------------------


def _zrange(
    key: str, start: Any, end: Any, *, withscores: bool = False, byscore: bool = False, offset: int = 0, num: int = -1
) -> Command:
    scores = ["BYSCORE", "LIMIT", offset, num] if byscore else []
    return ("ZRANGE", key, start, end, *scores, *(["WITHSCORES"] if withscores else []))


COMMANDS: Final[Mapping[str, Callable[..., Command]]] = {
    "hget": lambda key, field: ("HGET", key, field),
    "hmget": lambda key, fields: ("HMGET", key, *fields),
    "mget": lambda keys: ("MGET", *keys),
    "get": lambda key: ("GET", key),
    "exists": lambda key: ("EXISTS", key),
    "zcard": lambda key: ("ZCARD", key),
    "zrank": lambda key, member: ("ZRANK", key, member),
    "zrevrange": lambda key, start, end: ("ZREVRANGE", key, start, end),
    "zrange": _zrange,
    "zcount": lambda key, low, high: ("ZCOUNT", key, low, high),
    "llen": lambda key: ("LLEN", key),
    "scard": lambda key: ("SCARD", key),
    "smembers": lambda key: ("SMEMBERS", key),
    "srandmember": lambda key, number: ("SRANDMEMBER", key, number),
    "xrange": lambda key: ("XRANGE", key, "-", "+"),
    "time": lambda: ("TIME",),
    "eval": lambda source, num_keys, *args: ("EVAL", source, num_keys, *args),
}


def _shaped(call: Call, reply: Reply) -> Any:
    name, _, options = call
    if name == "time":
        return int(reply[0]), int(reply[1])
    if name == "xrange":
        return [(entry_id, dict(zip(fields[::2], fields[1::2], strict=True))) for entry_id, fields in reply]
    if name == "smembers":
        return set(reply)
    if options.get("withscores"):
        return [(member, float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]
    return reply


# ---- in place of redis-py's classes ----------------------------------------------------------------------------------


class QuickRedis:
    """Stands in for a `redis.Redis` with decoded answers; `make` makes the real one, if it comes to that."""

    def __init__(self, url: str, *, make: "Callable[[], Redis]", timeout_seconds: float) -> None:
        self._url, self._make, self._timeout = url, make, timeout_seconds
        self._real: Redis | None = None
        self._line: _Line | None = None

    def __getattr__(self, name: str) -> Any:
        if name not in COMMANDS or self._real is not None:
            return getattr(self._redis(), name)
        return lambda *arguments, **options: self.do([(name, arguments, options)])[0]

    def register_script(self, source: str) -> Callable[..., Any]:
        """A script to be called with `args`, as redis-py's."""
        return lambda *, args: self.do([("eval", (source, 0, *args), {})])[0]

    def pipeline(self, transaction: bool = True) -> "QuickPipeline":
        """Several calls in one go; in a transaction nobody else's come between them."""
        return QuickPipeline(self, transaction=transaction)

    def do(self, calls: Sequence[Call], *, transaction: bool = False) -> list[Any]:
        """The calls' answers; once it did not work out here, redis-py's for good."""
        if self._real is None:
            try:
                commands = [COMMANDS[name](*arguments, **options) for name, arguments, options in calls]
                self._line = self._line or _Line(self._url, timeout_seconds=self._timeout)
                if transaction:
                    *_, replies = self._line.exchange([("MULTI",), *commands, ("EXEC",)])
                else:
                    replies = self._line.exchange(commands)
                return [_shaped(call, reply) for call, reply in zip(calls, replies, strict=True)]
            except (_Failed, OSError, ValueError, LookupError, TypeError):
                pass
        real = self._redis()
        if len(calls) == 1 and not transaction:
            name, arguments, options = calls[0]
            return [getattr(real, name)(*arguments, **options)]
        pipeline = real.pipeline(transaction=transaction)
        for name, arguments, options in calls:
            getattr(pipeline, name)(*arguments, **options)
        return list(pipeline.execute())

    def _redis(self) -> "Redis":
        if self._real is None:
            if self._line is not None:
                self._line.close()
            self._real = self._make()
        return self._real


class QuickPipeline:
    """Calls that are sent together by `execute`."""

    def __init__(self, redis: QuickRedis, *, transaction: bool) -> None:
        self._redis, self._transaction = redis, transaction
        self._calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        def note(*arguments: Any, **options: Any) -> "QuickPipeline":
            self._calls.append((name, arguments, options))
            return self

        return note

    def execute(self) -> list[Any]:
        calls, self._calls = self._calls, []
        return self._redis.do(calls, transaction=self._transaction) if calls else []


# ---- the wire --------------------------------------------------------------------------------------------------------


def is_plain(url: str) -> bool:
    """Whether `url` is one that is spoken here: redis://[USER[:PASSWORD]@]HOST[:PORT][/DB], without TLS or options."""
    try:
        parts = urlsplit(url)
        number = parts.path.strip("/")
        _ = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "redis" and bool(parts.hostname) and not parts.query and not parts.fragment
    return plain and (not number or (number.isascii() and number.isdecimal() and len(number) < 6))


class _Line:
    """A connection that speaks RESP2."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 6379), timeout=timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        greeting: list[Command] = []
        if parts.password is not None:
            user = [unquote(parts.username)] if parts.username else []
            greeting.append(("AUTH", *user, unquote(parts.password)))
        if number := parts.path.strip("/"):
            greeting.append(("SELECT", int(number)))
        if greeting:
            self.exchange(greeting)

    def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send all, then read an answer to each. Raises _Failed or OSError; the connection is of no more use then."""
        self._socket.sendall(b"".join(map(_encoded, commands)))
        return [self._read() for _ in commands]

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __del__(self) -> None:
        # A command just ends; as redis-py's, the connection ends with it.
        if hasattr(self, "_file"):
            self.close()

    def _read(self) -> Reply:
        line = self._file.readline(65_536)
        kind, rest = line[:1], line[1:-2]
        if not line.endswith(b"\r\n") or kind not in b"+:$*":
            raise _Failed(line[:100])  # an error, or no Redis
        if kind == b"+":
            return rest.decode()
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"*":
            return [self._read() for _ in range(number)]
        content = self._file.read(number + 2)
        if len(content) != number + 2:
            raise _Failed("cut short")
        return content[:-2].decode()


def _encoded(command: Command) -> bytes:
    parts = [str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
