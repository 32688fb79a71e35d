"""The shared volume: is it the workers', is there room on it, and does the data set lie there?"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mnist_client.context import CommandContext
from mnist_client.diagnosis.finding import Finding, broken, ok, warning
from mnist_client.rendering.wording import num_bytes
from mnist_client.volume.sight import HOW_TO_SHARE, is_shared

LITTLE_BYTES, NO_BYTES = 2_000_000_000, 200_000_000  # free; a checkpoint of the reference network takes 14.4 MB
# As torchvision lays them out.
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def check_disk(context: CommandContext) -> Finding:
    """Room on the storage folder, as far as it is here."""
    folder = context.settings.storage_dir
    if not folder.is_dir():
        return warning("disk", f"{folder} does not exist", f"`mnist-client up` makes it. Or: {HOW_TO_SHARE}")
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return broken("disk", f"{folder} cannot be used: {error.strerror or error}", "Look at how it is mounted.")
    line = f"{num_bytes(free)} free in {folder}"
    tidy = f"Remove what is no longer needed: {context.command('checkpoints gc --dry-run')}"
    if free < NO_BYTES:
        return broken("disk", line, tidy)
    return warning("disk", line, tidy) if free < LITTLE_BYTES else ok("disk", line)


def check_sharing(context: CommandContext) -> Iterator[Finding]:
    """Whether the files of the latest runs are here; nothing where there is no run to tell by."""
    shared = is_shared(context)
    if shared is not None:
        yield sharing(context, is_here=shared)


def sharing(context: CommandContext, *, is_here: bool) -> Finding:
    """What it means whether the workers' files are here."""
    folder = context.settings.runs_dir
    if is_here:
        return ok("volume", f"{folder} is the workers' too")
    return warning(
        "volume",
        f"{folder} is not where the workers write: `logs`, `checkpoints` and `reindex` see nothing",
        HOW_TO_SHARE,
    )


def check_data(context: CommandContext) -> Iterator[Finding]:
    """Whether MNIST is where this client would look; nothing where it sees no volume. A worker may look elsewhere."""
    data_dir = context.settings.data_dir
    if context.settings.storage_dir.is_dir() or data_dir.is_dir():
        yield _data(data_dir)


def _data(data_dir: Path) -> Finding:
    folder = data_dir / "MNIST" / "raw"
    missing = [name for name in FILES if not (folder / name).is_file()]
    if not missing:
        return ok("data", f"MNIST lies in {data_dir}")
    if len(missing) < len(FILES):
        return warning(
            "data", f"of MNIST, {missing[0]} is missing in {folder}", "The next run downloads what is missing."
        )
    if os.access(data_dir, os.F_OK) and not os.access(data_dir, os.W_OK):
        return warning(
            "data",
            f"MNIST is not in {data_dir}, which is read-only",
            "Put its four files into MNIST/raw there, or train on --dataset digits.",
        )
    return ok("data", f"MNIST is not in {data_dir} yet; the first run downloads it (11 MB)")
