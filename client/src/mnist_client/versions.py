"""This client's version, and whether a worker's is the same."""

from collections.abc import Mapping


def own_version() -> str:
    from importlib.metadata import version

    return version("mnist-shared")


def is_other_version(versions: Mapping[str, str], *, own: str) -> bool:
    """Whether a worker that announces `versions` is of another release than `own`. The parts are released together."""
    announced = versions.get("mnist-shared") or versions.get("mnist-worker")
    return announced is not None and announced != own
