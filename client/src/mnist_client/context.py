"""What a command is handed: the global options, and what they lead to, made when first asked for."""

import os
import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mnist_client.configuration import Configuration, load_configuration
from mnist_client.rendering.output import Output
from mnist_shared.errors import BrokerUnreachable
from mnist_shared.settings import Settings, without_secrets

if TYPE_CHECKING:
    from datetime import datetime

    from redis import Redis

    from mnist_client.stack.stack_file import StackFile
    from mnist_shared.storage.events import EventLog
    from mnist_shared.storage.queue import Queue
    from mnist_shared.storage.runs import RunStore
    from mnist_shared.storage.workers import WorkerRegistry


@dataclass(frozen=True)
class CommandContext:
    """The global options of one command line."""

    broker: str | None = None
    storage: Path | None = None
    profile: str | None = None
    json: bool = False
    no_color: bool = False
    quiet: bool = False

    @cached_property
    def configuration(self) -> Configuration:
        """The configuration file, with its profile.

        Raises:
            InvalidInput: it is not as it should be.
        """
        return load_configuration(profile=self.profile)

    @cached_property
    def output(self) -> Output:
        return Output(quiet=self.quiet, no_color=self.no_color or self.configuration.values.get("color") is False)

    @cached_property
    def settings(self) -> Settings:
        """Flags before the environment before the configuration file before defaults; the broker may be unknown."""
        environment = self.configuration.environment(os.environ)
        return Settings.from_environment(environment, broker=self.broker, storage=self.storage)

    @cached_property
    def stack(self) -> "StackFile | None":
        """The embedded stack of the storage folder, where nothing names another broker."""
        if self.settings.broker_url is not None:
            return None
        from mnist_client.stack.stack_file import find_running_stack

        return find_running_stack(self.settings.stack_file)

    @cached_property
    def broker_url(self) -> str:
        """The flag's, the environment's, the configuration file's, or the embedded stack's.

        Raises:
            BrokerUnreachable: none of them says where the broker is.
        """
        if self.settings.broker_url is not None:
            return self.settings.broker_url
        if self.stack is None:
            raise BrokerUnreachable(
                f"No broker is configured and no embedded stack is running in {self.settings.storage_dir}.",
                hint="Start one with `mnist-client up`, or set MNIST_BROKER_URL or the configuration file's `broker`.",
            )
        return self.stack.broker_url

    @cached_property
    def redis(self) -> "Redis":
        from mnist_shared.storage.connection import connect_quickly

        return connect_quickly(self.broker_url)

    @cached_property
    def store(self) -> "RunStore":
        from mnist_shared.storage.runs import RunStore

        return RunStore(self.redis, lease_seconds=self.settings.lease_seconds)

    @cached_property
    def events(self) -> "EventLog":
        from mnist_shared.storage.events import EventLog

        return EventLog(self.redis)

    @cached_property
    def queue(self) -> "Queue":
        from mnist_shared.storage.queue import Queue

        return Queue(self.redis)

    @cached_property
    def registry(self) -> "WorkerRegistry":
        from mnist_shared.storage.workers import WorkerRegistry

        return WorkerRegistry(self.redis)

    def now(self) -> "datetime":
        """The Redis server's time: the clock by which records and workers are dated."""
        from datetime import UTC, datetime

        from mnist_shared.storage.connection import broker_errors

        with broker_errors(self.redis):
            seconds, microseconds = self.redis.time()
        return datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC)

    def absence(self) -> str | None:
        """What to tell a user when no worker is present; None when one is."""
        if self.registry.present():
            return None
        if self.stack is not None and self.stack.num_workers:
            return "no worker is ready yet: those of the stack are still starting."
        how = (
            "`mnist-client up --workers 1`, after stopping the stack"
            if self.stack
            else "`mnist-worker` where it is to train"
        )
        return f"no worker is present: runs wait until one starts. Start one with {how}."

    def command(self, words: str) -> str:
        """A command line that reaches the same broker as this one, to be shown. Never with a password."""
        parts = ["mnist-client"]
        if self.profile is not None:
            parts += ["--profile", shlex.quote(self.profile)]
        if self.storage is not None:
            parts += ["--storage", shlex.quote(str(self.storage))]
        if self.broker is not None and self.broker == without_secrets(self.broker):
            parts += ["--broker", shlex.quote(self.broker)]
        return " ".join([*parts, words])


def context_of(ctx: typer.Context, *, json: bool = False) -> CommandContext:
    """The command's context; `json` is the command's own flag, which counts as much as the global one."""
    context = ctx.obj
    assert isinstance(context, CommandContext)
    return replace(context, json=True) if json and not context.json else context
