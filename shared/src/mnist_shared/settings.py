"""Where the broker, the shared volume and the data sets are. Read from the environment when asked, never at import.

A plain function instead of a settings library: a few variables, and the client starts 80 ms sooner.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from mnist_shared.errors import InvalidInput

DEFAULT_STORAGE = "~/.mnist-queue"
DEFAULT_LEASE_SECONDS = 15.0


@dataclass(frozen=True)
class Settings:
    """What client and worker need to find each other."""

    storage_dir: Path  # MNIST_STORAGE_DIR: the shared volume
    data_dir: Path  # MNIST_DATA_DIR: where data sets lie, or are downloaded to
    # MNIST_BROKER_URL; it may hold a password, or get the one in the file MNIST_BROKER_PASSWORD_FILE
    broker_url: str | None = field(default=None, repr=False)
    lease_seconds: float = DEFAULT_LEASE_SECONDS  # MNIST_LEASE_SECONDS: silence after which a worker counts as lost

    @property
    def runs_dir(self) -> Path:
        return self.storage_dir / "runs"

    @property
    def tensorboard_dir(self) -> Path:
        """What TensorBoard is started on: a link to each training run's curves, called by the run's name."""
        return self.storage_dir / "tensorboard"

    @property
    def stack_file(self) -> Path:
        """Where an embedded stack leaves its address."""
        return self.storage_dir / "stack.json"

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, *, broker: str | None = None, storage: Path | None = None
    ) -> "Settings":
        """Settings from flags, then the environment, then defaults.

        Raises:
            InvalidInput: a variable's value cannot be used.
        """
        environment = os.environ if environment is None else environment
        try:
            storage_dir = (
                (storage or Path(environment.get("MNIST_STORAGE_DIR") or DEFAULT_STORAGE)).expanduser().absolute()
            )
            data_text = environment.get("MNIST_DATA_DIR")
            data_dir = Path(data_text).expanduser().absolute() if data_text else storage_dir / "datasets"
        except (RuntimeError, ValueError) as error:
            raise InvalidInput(
                f"The storage folder cannot be used: {error}.", hint="Set MNIST_STORAGE_DIR to an absolute path."
            ) from error
        return cls(
            storage_dir=storage_dir,
            data_dir=data_dir,
            broker_url=broker or _broker_url(environment),
            lease_seconds=_lease_seconds(environment.get("MNIST_LEASE_SECONDS")),
        )


def _broker_url(environment: Mapping[str, str]) -> str | None:
    """MNIST_BROKER_URL; one without a password gets the one in the file, where a container's secrets lie."""
    url, path = environment.get("MNIST_BROKER_URL") or None, environment.get("MNIST_BROKER_PASSWORD_FILE")
    if url is None or not path:
        return url
    from urllib.parse import quote, urlsplit

    try:
        parts = urlsplit(url)
        if parts.password is not None:
            return url
        password = Path(path).read_text(encoding="utf-8").strip()
        if not password:
            raise ValueError("it is empty")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The password file {path} cannot be used: {error}.",
            hint="Make MNIST_BROKER_PASSWORD_FILE name a file that holds the password, and is readable here.",
        ) from error
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.removesuffix(':')}:{quote(password, safe='')}@{host}").geturl()


def _lease_seconds(text: str | None) -> float:
    try:
        seconds = float(text or DEFAULT_LEASE_SECONDS)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise InvalidInput(
            f"MNIST_LEASE_SECONDS is {text!r:.40}.",
            hint="Set it to between 1 and 3600 seconds, the same on all machines.",
        )
    return seconds


def without_secrets(url: str) -> str:
    """`url` as it may be shown: neither the password before the host nor one among the parameters."""
    try:
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}:***@{host}" if at and ":" in user else parts.netloc
        query = "&".join(f"{part.partition('=')[0]}=***" for part in parts.query.split("&") if part)
        hidden = parts._replace(netloc=netloc, query=query)
        return url if hidden == parts else urlunsplit(hidden)
    except ValueError:
        return "(unreadable URL)"
