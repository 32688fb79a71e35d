"""The broker: does it answer, how fast, and would it ever lose what it was told?"""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from redis import Redis

from mnist_client.context import CommandContext
from mnist_client.diagnosis.finding import Finding, broken, ok, warning
from mnist_client.rendering.wording import num_bytes
from mnist_shared.errors import BrokerRefused, BrokerUnreachable
from mnist_shared.storage.connection import address, broker_errors

NUM_PINGS = 20
SLOW_SECONDS = 0.05  # an answer; a worker asks several times a second
FULL_SHARE = 0.8  # of the memory that the server may take


def check_broker(context: CommandContext) -> Iterator[Finding]:
    """Raises BrokerUnreachable when it does not answer at all."""
    redis = context.redis
    latency = _latency(redis)
    try:
        with broker_errors(redis):
            info = redis.info()
    except BrokerRefused as error:
        yield warning("broker", error.message, "Allow its user INFO: without it, nobody can see how the server is set.")
        return
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "of unknown version")
    line = f"{name} {version} at {address(redis)}, {1000 * latency:.2g} ms an answer"
    if latency > SLOW_SECONDS:
        yield warning("broker", line, "Look at its machine, and at the network between.")
    else:
        yield ok("broker", line)
    yield _durability(info)
    yield _memory(info)


def unreachable(error: BrokerUnreachable) -> Finding:
    return broken("broker", error.message, error.hint)


def _latency(redis: Redis) -> float:
    """Seconds an answer takes, the median of several."""
    seconds = []
    with broker_errors(redis):
        redis.ping()  # connects
        for _ in range(NUM_PINGS):
            asked = time.perf_counter()
            redis.ping()
            seconds.append(time.perf_counter() - asked)
    return median(seconds)


def _durability(info: dict[str, Any]) -> Finding:
    if not info.get("aof_enabled"):
        return broken(
            "durability",
            "its append-only file is off: what it was told is lost when it stops",
            "Set `appendonly yes` in its configuration (or CONFIG SET appendonly yes).",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        return broken(
            "durability", "its append-only file cannot be written", "Look at the disk of its machine: is it full?"
        )
    return ok("durability", "append-only file on, and written")


def _memory(info: dict[str, Any]) -> Finding:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    line = f"{num_bytes(used)} used" + (f" of {num_bytes(limit)}" if limit else ", no limit") + f", {policy}"
    if policy != "noeviction":
        hint = "Set `maxmemory-policy noeviction`: a full memory must be an error, never a lost run."
        return broken("memory", line, hint) if limit else warning("memory", line, hint)
    if limit and used > FULL_SHARE * limit:
        return warning("memory", line, "Raise `maxmemory`, or let records go sooner (MNIST_KEEP_DAYS of the workers).")
    return ok("memory", line)
