"""The command tree: which commands there are, loaded when they are needed; help in sections, as plain text.

Typer's own panels need Rich, and all commands at once take as long to build as one takes to do its work.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command, get_group

# The commands in the order in which one needs them. Each is a module of `commands` with a function of that name (and
# with a class `Command`, where it is parsed in a way of its own), or with an `app` of several.
SECTIONS = {
    "Send runs": ("submit", "resume", "retry"),
    "Watch them": ("status", "follow", "logs", "wait", "cancel"),
    "Look at results": ("plot", "compare", "checkpoints"),
    "Use a trained run": ("evaluate", "predict", "export", "verify"),
    "Run the stack": ("up", "workers", "queue", "doctor", "reindex"),
    "This command": ("config", "completion"),
}


class _Option(TyperOption):
    """What is not given needs no converter. Typer makes one for each option, and loads pydantic for the first."""

    def process_value(self, ctx: Any, value: Any) -> Any:
        if value is None and not (self.required or self.multiple):
            return self.callback(ctx, self, None) if self.callback is not None else None
        return super().process_value(ctx, value)


class _Argument(TyperArgument):
    """Text stays as it is."""

    def process_value(self, ctx: Any, value: Any) -> Any:
        if isinstance(value, str) and self.type_descriptor.annotation is str and self.callback is None:
            return value
        return super().process_value(ctx, value)


def _spared(params: list[Any]) -> list[Any]:
    """Typer makes the parameters by itself; only afterwards can they be told to do less."""
    for param in params:
        if type(param) is TyperOption:
            param.__class__ = _Option
        elif type(param) is TyperArgument:
            param.__class__ = _Argument
    return params


class SparingGroup(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _spared(super().get_params(ctx))


class CommandTree(SparingGroup):
    """All commands, listed by what they are for; none is loaded before it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Placeholders: the names are looked at for "Did you mean ...?".
        self.commands = dict.fromkeys(name for names in SECTIONS.values() for name in names)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        limit = formatter.width - 6 - width
        for title, names in SECTIONS.items():
            rows = [(f"{name:{width}}", self.get_command(ctx, name).get_short_help_str(limit)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)


def _load(name: str) -> Any:
    module = import_module(f"mnist_client.commands.{name}")
    if isinstance(app := getattr(module, "app", None), typer.Typer):
        app.info.cls = SparingGroup
        command: Any = get_group(app)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(name, cls=getattr(module, "Command", SectionedCommand))(getattr(module, name))
        command = get_command(app)
    command.name = name
    return command


class SectionedCommand(TyperCommand):
    """Lists options that have a panel of their own (`rich_help_panel`) under its title, after the others."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _spared(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                title = "Arguments" if param.param_type_name == "argument" else "Options"
                sections.setdefault(getattr(param, "rich_help_panel", None) or title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
