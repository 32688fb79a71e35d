"""`config`: the settings as they apply, with where each comes from."""

import os
from typing import TYPE_CHECKING, Any

import typer

from mnist_client import options
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def config(ctx: typer.Context) -> None:
    """Show the settings, and the configuration file they come from.

    The file is TOML: broker, password_file, storage, data, lease_seconds, color; [train] with defaults for `submit
    train`; [profiles.NAME] with the same keys for other brokers, chosen by --profile, MNIST_PROFILE or default_profile.

    \b
    Example:
      mnist-client config show
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


@app.command()
def show(ctx: typer.Context, json: options.Json = False) -> None:
    """Show each setting with its source. Passwords are never shown.

    \b
    Example:
      mnist-client config show
      mnist-client --profile lab config show
    """
    import json as json_text

    context = context_of(ctx, json=json)
    file, rows = context.configuration, list(_rows(context))
    if context.json:
        document = {
            "file": str(file.path),
            "exists": file.exists,
            "profile": file.profile,
            "profiles": list(file.profiles),
            "settings": {name: {"value": value, "source": source} for name, value, source in rows},
        }
        context.output.data(json_text.dumps(document))
        return
    shown = [(name, _shown(value), source) for name, value, source in rows]
    widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
    for name, text, source in shown:
        context.output.data(f"{name:{widths[0]}}  {text:{widths[1]}}  {source}")
    context.output.talk(f"file: {file.path}{'' if file.exists else ' (there is none)'}")
    if file.profiles:
        context.output.talk(f"profiles: {', '.join(file.profiles)}; this is {file.profile or 'none of them'}")


@app.command()
def path(ctx: typer.Context, json: options.Json = False) -> None:
    """Print where the configuration file is, or would be.

    \b
    Example:
      mnist-client config path
    """
    import json as json_text

    from mnist_client.configuration import configuration_path

    context = context_of(ctx, json=json)
    found = configuration_path()
    context.output.data(json_text.dumps({"file": str(found), "exists": found.exists()}) if context.json else str(found))


def _rows(context: CommandContext) -> "Iterator[tuple[str, Any, str]]":
    file, settings = context.configuration, context.settings
    yield "broker", *_broker(context)
    if "password_file" in file.values:
        yield "password_file", file.values["password_file"], file.places["password_file"]
    flag = "flag" if context.storage is not None else None
    yield "storage", str(settings.storage_dir), flag or _source(context, "storage", "MNIST_STORAGE_DIR")
    yield "data", str(settings.data_dir), _source(context, "data", "MNIST_DATA_DIR", "in the storage folder")
    yield "lease_seconds", settings.lease_seconds, _source(context, "lease_seconds", "MNIST_LEASE_SECONDS")
    yield "color", *_color(context)
    for name, value in file.train.items():
        yield f"train.{name}", value, file.places[f"train.{name}"]


def _broker(context: CommandContext) -> tuple[str | None, str]:
    """The address, never with its password."""
    from mnist_shared.errors import MnistError
    from mnist_shared.settings import without_secrets

    url = context.settings.broker_url
    if url is not None:
        source = "flag" if context.broker is not None else _source(context, "broker", "MNIST_BROKER_URL")
        return without_secrets(url), source
    try:
        stack = context.stack
    except MnistError as error:
        return None, f"not known: {error.message}"
    return (without_secrets(stack.broker_url), "embedded stack") if stack is not None else (None, "no stack is running")


def _color(context: CommandContext) -> tuple[bool, str]:
    if context.no_color:
        return False, "flag"
    if os.environ.get("NO_COLOR"):
        return False, "NO_COLOR"
    if "color" in context.configuration.values:
        return context.configuration.values["color"], context.configuration.places["color"]
    return True, "default"


def _source(context: CommandContext, key: str, variable: str, default: str = "default") -> str:
    file = context.configuration
    if file.comes_first(key, os.environ):
        return file.places[key]
    return variable if os.environ.get(variable) else default


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
