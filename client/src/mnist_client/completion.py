"""What TAB offers: runs, workers, tags from the broker, within a moment and without a word when that fails."""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mnist_client.context import CommandContext

# In `typer.Option(autocompletion=...)`: the beginning of a word in, words (with a description each) out.
Completer = Callable[[typer.Context, str], list[tuple[str, str]]]

SCRIPT_VARIABLE = "_MNIST_CLIENT_COMPLETE"  # set by the shell's script: words are printed, and no command executed
TIMEOUT_SECONDS = 0.3  # for all that is asked of the broker; a shell waits meanwhile (MNIST_COMPLETION_SECONDS)
NUM_OFFERED = 50

DATASETS = ("mnist", "fashion-mnist", "kmnist", "digits")
PRESETS = ("reference", "fast", "accurate")
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
KINDS = ("train", "resume", "evaluate", "export", "predict", "verify")
FORMATS = ("safetensors", "torchscript", "onnx")
CHECKPOINTS = ("last", "best")


def answer_scripts() -> None:
    """Let the command line answer the shell's script. It has no part in any other start of the command."""
    from typer.completion import completion_init  # type: ignore[attr-defined] # it is there, and not listed

    completion_init()


def one_of(*words: str) -> Completer:
    """Offers fixed words."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        return [(word, "") for word in words if word.startswith(incomplete)]

    return complete


def complete_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers run names, and ids once a digit of one is typed."""
    return _asked(ctx, lambda context: _runs(context, incomplete))


def complete_subjects(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers runs, and the model files that lie where the word points."""
    return _model_files(incomplete) + ([] if "/" in incomplete else complete_runs(ctx, incomplete))


def complete_workers(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers the names of present workers."""

    def workers(context: "CommandContext") -> Iterable[tuple[str, str]]:
        return [(worker.info.name, worker.info.state) for worker in context.registry.present()]

    return [(name, about) for name, about in _asked(ctx, workers) if name.startswith(incomplete)]


def complete_tags(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers the tags of the latest runs."""

    def tags(context: "CommandContext") -> Iterable[tuple[str, str]]:
        records = context.store.latest(NUM_OFFERED, on_unreadable=lambda _: None)
        return [(tag, "") for tag in dict.fromkeys(tag for record in records for tag in record.options.tags)]

    return [(tag, about) for tag, about in _asked(ctx, tags) if tag.startswith(incomplete)]


def complete_profiles(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers the profiles of the configuration file."""
    from mnist_client.configuration import load_configuration
    from mnist_shared.errors import MnistError

    try:
        return [(name, "") for name in load_configuration().profiles if name.startswith(incomplete)]
    except MnistError:
        return []


def _runs(context: "CommandContext", incomplete: str) -> Iterable[tuple[str, str]]:
    offered = [(word, "the latest run, no canary of doctor") for word in ("last",) if word.startswith(incomplete)]
    for name, run_id in context.store.names(incomplete, limit=NUM_OFFERED):
        offered.append((name, run_id))
    if incomplete and not set(incomplete) - set("0123456789abcdef"):
        records = context.store.latest(200, on_unreadable=lambda _: None)
        alike = [record for record in records if record.id.startswith(incomplete)]
        offered += [(record.id, f"{record.options.name or record.request.kind}, {record.state}") for record in alike]
    return offered[:NUM_OFFERED]


def _model_files(incomplete: str) -> list[tuple[str, str]]:
    """Also folders, once a letter is typed: they may hold some."""
    from mnist_shared.contracts.names import MODEL_SUFFIXES

    folder, slash, start = incomplete.rpartition("/")
    try:
        paths = [path for path in Path(f"{folder}{slash}" or ".").expanduser().iterdir() if path.name.startswith(start)]
    except (OSError, RuntimeError):
        return []
    folders = [f"{path.name}/" for path in paths if incomplete and path.is_dir()]
    files = [path.name for path in paths if path.suffix.lower() in MODEL_SUFFIXES and path.is_file()]
    return [(f"{folder}{slash}{name}", "") for name in sorted(files + folders) if start or not name.startswith(".")]


def _asked(ctx: typer.Context, ask: "Callable[[CommandContext], Iterable[tuple[str, str]]]") -> list[tuple[str, str]]:
    """The answer, or nothing when it is late or an error: somebody is typing."""
    found: list[tuple[str, str]] = []

    def run() -> None:
        try:
            found.extend(ask(_context(ctx)))
        except Exception:  # noqa: S110 - the edge of a completion: an error message would land in the command line
            pass

    # A thread, because a name's resolution has no timeout. Redis is loaded before: that is not the broker's time.
    import mnist_shared.storage.runs  # noqa: F401

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_patience())
    return list(found)


def _patience() -> float:
    try:
        return float(os.environ["MNIST_COMPLETION_SECONDS"])
    except (KeyError, ValueError):
        return TIMEOUT_SECONDS


def _context(ctx: typer.Context) -> "CommandContext":
    """As the command would have it: its callback has not run while words are completed."""
    from mnist_client.context import CommandContext

    options: dict[str, Any] = ctx.find_root().params
    return CommandContext(broker=options.get("broker"), storage=options.get("storage"), profile=options.get("profile"))
