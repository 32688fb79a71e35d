"""`mnist-client`: the command tree, the global options, and the one edge where errors become exit codes."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mnist_client import exits
from mnist_client.completion import SCRIPT_VARIABLE, answer_scripts, complete_profiles
from mnist_client.context import CommandContext
from mnist_client.help_sections import CommandTree
from mnist_client.options import Json
from mnist_client.rendering.encoding import make_safe
from mnist_client.rendering.output import Output
from mnist_shared.errors import MnistError

# The root of the command line's own errors. Typer shows only this branch of it, and keeps its click to itself.
_USAGE_ERROR: type[Any] = typer.BadParameter.__bases__[0]
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="mnist-client",
    cls=CommandTree,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


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
            help="The broker; else MNIST_BROKER_URL, the configuration file's, or the embedded stack's.",
        ),
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(
            "--storage",
            metavar="DIR",
            help="The shared volume; else MNIST_STORAGE_DIR, the configuration file's, or ~/.mnist-queue.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="A profile of the configuration file, before the environment; else MNIST_PROFILE.",
            autocompletion=complete_profiles,
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
    ctx.obj = CommandContext(broker=broker, storage=storage, profile=profile, json=json, no_color=no_color, quiet=quiet)
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run(arguments: list[str] | None = None) -> int:
    """Execute one command line; return its exit code."""
    output = Output(no_color="--no-color" in (sys.argv if arguments is None else arguments))
    if SCRIPT_VARIABLE in os.environ:
        answer_scripts()
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
            import traceback

            traceback.print_exc()
        output.error(
            f"Unforeseen: {type(error).__name__}: {error}. Set MNIST_DEBUG=1 to see where, and please report it."
        )
        return exits.TROUBLE


def _usage_line(error: Any) -> str:
    """What is wrong with the command line, what was probably meant, and where its help is."""
    meant = sorted(getattr(error, "possibilities", None) or [])
    message = f"{error.message}. Did you mean {' or '.join(meant)}?" if meant else str(error.format_message())
    command = error.ctx.command_path if error.ctx is not None else "mnist-client"
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See `{command} --help`."


def main() -> None:
    """The console script."""
    # Most of a command's time goes into imports, which leave no garbage: a tenth of it was spent looking for some.
    gc.set_threshold(50_000)
    # pydantic looks through all installed distributions for plugins otherwise; this project has none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        make_safe(stream)  # a narrow code page is no reason to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds: a hidden cursor comes back
    sys.exit(run())
