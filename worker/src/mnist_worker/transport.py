"""kombu's Redis transport, with a look at each message before Celery gets it.

Celery trusts its broker. Bytes that are no JSON, a wrong envelope or bad base64 end its main process, some of it again
after each restart; unknown tasks are dropped in silence. Here they go into quarantine with a reason, and the worker
pops the next one.

What is popped is kept in memory only. Stock kombu also writes it to Redis until it is acknowledged, two round trips a
message; here the run's record says what waits, and the reaper sends again what was lost with a worker.
"""

import functools
import logging
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import RedisError

from mnist_shared.storage.messages import why_unusable

log = logging.getLogger(__name__)


class _Unusable(Empty):
    """Raised in place of a popped message; to kombu it says that there was none."""

    def __init__(self, message: bytes, reason: str) -> None:
        super().__init__(reason)
        self.message, self.reason = message, reason


class _Client(kombu_redis.PrefixedStrictRedis):
    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        answer = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name == "BRPOP" and answer:
            message = answer[1] if isinstance(answer[1], bytes) else str(answer[1]).encode()
            reason = why_unusable(message)
            if reason:
                raise _Unusable(message, reason)
        return answer


class _QoS(virtual.QoS):
    def can_consume(self) -> bool:
        # Remote control has a channel of its own, which reads always: what lies unread in its socket would keep
        # Celery's loop awake, at the cost of a core.
        if not self.channel.active_queues:
            return bool(super().can_consume())  # type: ignore[no-untyped-call]
        is_ready = self.channel.connection.client.transport_options["is_ready"]
        return is_ready() and bool(super().can_consume())  # type: ignore[no-untyped-call]


class Channel(kombu_redis.Channel):
    """Hands what is unusable to the transport option `on_unusable(message, reason)`.

    Pops nothing while the transport option `is_ready()` says no: a pool process takes seconds to load torch, and a
    message that waits inside a worker is one that no other worker can have, and that is lost with it.
    """

    QoS = _QoS  # type: ignore[assignment]

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        # Popped, and not yet with the pool process when this worker stops.
        exchange, routing_key = message.delivery_info["exchange"], message.delivery_info["routing_key"]
        try:
            with self.conn_or_acquire() as client:
                self._do_restore_message(message._raw, exchange, routing_key, client, leftmost)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            # Raised, it would make kombu write the message to a file in /tmp, which nobody reads.
            log.warning("a message was not put back (%s); its run will be sent again", type(error).__name__)

    def _get_client(self) -> Any:
        return functools.partial(_Client, global_keyprefix=self.global_keyprefix)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except _Unusable as found:
            self.connection.client.transport_options["on_unusable"](found.message, found.reason)
            raise Empty() from None


class Transport(kombu_redis.Transport):
    Channel = Channel
