"""The scripts in `scripts/`: one file each, and a prelude that stands before every one."""

from functools import cache
from importlib import resources


@cache
def script_source(name: str) -> str:
    """The text of one script, the prelude before it."""
    folder = resources.files("mnist_shared.storage").joinpath("scripts")
    return "\n".join(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in ("prelude", name))
