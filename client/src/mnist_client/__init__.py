"""The client: submits runs, shows them, and starts an embedded stack. Never loads torch or Celery.

As a command line it is `mnist-client`; in a program or a notebook, `from mnist_client import Client`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnist_client.api import Client, Run

__all__ = ["Client", "Run"]


def __getattr__(name: str) -> object:
    # Only when asked for: the command line starts without pydantic.
    if name in __all__:
        from mnist_client import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
