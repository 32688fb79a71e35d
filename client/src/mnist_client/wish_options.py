"""The options of every command that sends a run: its name and place in the queue, and whether to stay with it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_client import options
from mnist_client.completion import complete_runs, one_of

if TYPE_CHECKING:
    from mnist_client.submission import Wishes

PRIORITIES = ("low", "normal", "high")

Name = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="NAME", help="Of the run. [default: a generated one]", rich_help_panel=options.RUN_PANEL
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", metavar="TAG", help="A mark to find it by; may be given often.", rich_help_panel=options.RUN_PANEL
    ),
]
Priority = Annotated[
    str,
    typer.Option(
        "--priority",
        metavar="CLASS",
        help="low, normal, or high: who is served first. [default: normal]",
        show_default=False,
        autocompletion=one_of(*PRIORITIES),
        rich_help_panel=options.RUN_PANEL,
    ),
]
After = Annotated[
    str | None,
    typer.Option(
        "--after",
        metavar="RUN",
        help="Wait in the queue until that run has succeeded.",
        autocompletion=complete_runs,
        rich_help_panel=options.RUN_PANEL,
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries",
        metavar="N",
        help="Try again so often when an attempt fails. [default: 0; 0 to 20]",
        show_default=False,
        rich_help_panel=options.RUN_PANEL,
    ),
]
IfNeeded = Annotated[
    bool,
    typer.Option(
        "--if-needed",
        help="Send nothing when a run has succeeded with the same configuration; print its id.",
        rich_help_panel=options.RUN_PANEL,
    ),
]
Then = Annotated[
    str | None,
    typer.Option(
        "--then",
        metavar="evaluate",
        help="Evaluate it once it has succeeded, as a run of its own.",
        autocompletion=one_of("evaluate"),
        rich_help_panel=options.RUN_PANEL,
    ),
]
Plan = Annotated[
    bool,
    typer.Option(
        "--plan", help="Send nothing; show what would be sent, and what to expect.", rich_help_panel=options.RUN_PANEL
    ),
]

_ANY_RUN: dict[str, tuple[Any, Any]] = {
    "name": (Name, None),
    "tag": (Tags, None),
    "priority": (Priority, "normal"),
    "after": (After, None),
    "retries": (Retries, 0),
    "if_needed": (IfNeeded, False),
    "plan": (Plan, False),
    "follow": (options.Follow, False),
    "wait": (options.Wait, False),
}
_TRAINING = {"then": (Then, None), **_ANY_RUN}


@dataclass(frozen=True)
class Staying:
    """What the command does besides sending."""

    follow: bool = False
    wait: bool = False
    plan: bool = False


def sends_a_run(command: Callable[..., int], *, trains: bool = True) -> Callable[..., int]:
    """`command`, with these options too; it reads them by `wishes_of` and `staying_of`."""
    added = _TRAINING if trains else _ANY_RUN
    own = inspect.signature(command)

    def sending(**given: Any) -> int:
        return command(**{name: value for name, value in given.items() if name in own.parameters})

    # --json, which every command has, stays last.
    mine = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own.parameters.values()]
    sending.__name__, sending.__doc__, sending.__module__ = command.__name__, command.__doc__, command.__module__
    parameters = [
        *(parameter for parameter in mine if parameter.name != "json"),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in added.items()
        ),
        *(parameter for parameter in mine if parameter.name == "json"),
    ]
    sending.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    sending.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return sending


def sends_an_evaluation(command: Callable[..., int]) -> Callable[..., int]:
    """The same without `--then`."""
    return sends_a_run(command, trains=False)


def wishes_of(ctx: typer.Context) -> "Wishes":
    """What the command line wishes for the run.

    Raises:
        InvalidInput: a word that is none of those to choose from.
    """
    from mnist_client.submission import Wishes

    given = ctx.params
    _choose("--priority", given["priority"], PRIORITIES)
    if given.get("then") is not None:
        _choose("--then", given["then"], ("evaluate",))
    return Wishes(
        name=given["name"],
        tags=tuple(given["tag"] or ()),
        priority=given["priority"],
        after=given["after"],
        retries=given["retries"],
        if_needed=given["if_needed"],
        then_evaluate=given.get("then") is not None,
    )


def staying_of(ctx: typer.Context) -> Staying:
    return Staying(follow=ctx.params["follow"], wait=ctx.params["wait"], plan=ctx.params["plan"])


def _choose(option: str, word: str, words: tuple[str, ...]) -> None:
    from mnist_shared.errors import InvalidInput

    if word not in words:
        raise InvalidInput(f"{option}: {word!r:.80} is none of {', '.join(words)}.", hint="Give one of them.")
