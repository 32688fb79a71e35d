"""`mnist-client`: the command tree, the global options, and the one edge where errors become exit codes."""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mnist_client import exits
from mnist_client.commands import cancel, evaluate, follow, queue, reindex, status, submit, up, wait, workers
from mnist_client.context import CommandContext
from mnist_client.options import Json
from mnist_client.rendering.output import Output
from mnist_shared.errors import MnistError

# The root of the command line's own errors. Typer shows only this branch of it, and keeps its click to itself.
_USAGE_ERROR: type[Any] = typer.BadParameter.__bases__[0]
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _CommandTree(TyperGroup):
    """Lists the commands in the order in which one needs them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return ["up", "submit", "status", "follow", "evaluate", "wait", "cancel", "workers", "queue", "reindex"]


app = typer.Typer(
    name="mnist-client",
    cls=_CommandTree,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
app.add_typer(submit.app, name="submit")
app.command("evaluate")(evaluate.evaluate)
app.command("status")(status.status)
app.command("follow")(follow.follow)
app.command("wait")(wait.wait)
app.command("cancel")(cancel.cancel)
app.command("workers")(workers.workers)
app.command("queue")(queue.queue)
app.command("reindex")(reindex.reindex)
app.command("up")(up.up)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mnist-client {version('mnist-client')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _client(
    ctx: typer.Context,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker",
            metavar="URL",
            help="The broker; else MNIST_BROKER_URL, else the embedded stack of the storage folder.",
        ),
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(
            "--storage", metavar="DIR", help="The shared volume; else MNIST_STORAGE_DIR, else ~/.mnist-queue."
        ),
    ] = None,
    json: Json = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; also with NO_COLOR in the environment.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train MNIST networks through a queue that never loses a run.

    \b
    Example:
      mnist-client up                                  # in one terminal
      mnist-client submit train --epochs 3 --follow    # in another
    """
    ctx.obj = CommandContext(broker=broker, storage=storage, json=json, no_color=no_color, quiet=quiet)
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run(arguments: list[str] | None = None) -> int:
    """Execute one command line; return its exit code."""
    output = Output(no_color="--no-color" in (sys.argv if arguments is None else arguments))
    try:
        code = app(arguments, prog_name="mnist-client", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else exits.OK
    except MnistError as error:
        output.error(str(error))
        return exits.of_error(error)
    except _USAGE_ERROR as error:
        output.error(_usage_line(error))
        return exits.USAGE
    except (BrokenPipeError, SystemExit) as error:
        # Typer makes a SystemExit of a closed pipe. SIGTERM is one too, and goes its way.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes stdout once more at its end
        return exits.PIPE_CLOSED
    except (KeyboardInterrupt, typer.Abort):
        return exits.DETACHED
    except Exception as error:
        # The edge of the process: what nobody foresaw is one line too, unless somebody wants to see more.
        if os.environ.get("MNIST_DEBUG"):
            traceback.print_exc()
        output.error(
            f"Unforeseen: {type(error).__name__}: {error}. Set MNIST_DEBUG=1 to see where, and please report it."
        )
        return exits.TROUBLE


def _usage_line(error: Any) -> str:
    """What is wrong with the command line, and where its help is."""
    message = str(error.format_message()).rstrip(".")
    command = error.ctx.command_path if error.ctx is not None else "mnist-client"
    return f"{message}. See `{command} --help`."


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a narrow code page is no reason to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds: a hidden cursor comes back
    sys.exit(run())
