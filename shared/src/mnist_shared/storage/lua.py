"""The scripts in `scripts/`: one file each; before every one stand the names of the keys, and a prelude."""

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from mnist_shared.settings import DEFAULT_LEASE_SECONDS
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.keys import Keys, lua_tables

if TYPE_CHECKING:
    from redis import Redis


@cache
def script_source(name: str, keys: Keys) -> str:
    """The text of one script, with all that stands before it."""
    folder = resources.files("mnist_shared.storage").joinpath("scripts")
    parts = [folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in ("prelude", name)]
    return "\n".join([lua_tables(keys), *parts])


class Scripted:
    """What each side of the run store stands on: a connection, the keys, the times, and the scripts."""

    def __init__(
        self, redis: "Redis", *, keys: Keys | None = None, lease_seconds: float = DEFAULT_LEASE_SECONDS
    ) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.lease_ms = round(lease_seconds * 1000)
        # A fifth of the lease: 3 s of 15, so that a cancel, which comes with the answer, is heard within 5.
        self.renew_seconds = lease_seconds / 5
        self.reap_seconds = lease_seconds / 7.5  # 2 s of 15
        # When nobody has reaped for three rounds, living owners first get as long to renew: twice what they need.
        self.silence_seconds = lease_seconds * 0.4
        self._scripts: dict[str, Callable[..., Any]] = {}

    def _call(self, script: str, *arguments: str | int, role: str = "") -> Any:
        if script not in self._scripts:
            source = script_source(script, self.keys)
            self._scripts[script] = cast(Callable[..., Any], self.redis.register_script(source))
        with broker_errors(self.redis, role=role):
            return self._scripts[script](args=arguments)
