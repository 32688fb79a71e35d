"""Help: an example each, the true defaults and bounds, and nothing heavy loaded for it."""

import pkgutil
import re
import subprocess
import sys
import typing

import pytest
from pydantic.fields import FieldInfo

from mnist_client import commands, exits
from mnist_client.help_sections import SECTIONS
from mnist_shared.contracts.config import TrainConfig
from tests.client.conftest import Cli

GROUPS = {
    "submit": ["train", "resume", "evaluate"],
    "checkpoints": ["list", "pull", "gc"],
    "workers": ["drain", "undrain"],
    "queue": ["pause", "resume"],
    "config": ["show", "path"],
}
NAMES = [name for names in SECTIONS.values() for name in names]
COMMANDS = [(name,) for name in NAMES if name not in GROUPS] + [(name, sub) for name in GROUPS for sub in GROUPS[name]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(lonely: Cli, command: tuple[str, ...]) -> None:
    done = lonely(*command, "--help")
    assert done.returncode == 0
    assert f"  mnist-client {' '.join(command)}" in done.stdout.partition("Example:")[2]


def test_help_of_the_whole_names_every_command(lonely: Cli) -> None:
    text = lonely("--help").stdout
    assert lonely().stdout == text
    assert lonely("submit").stdout == lonely("submit", "--help").stdout
    for name in NAMES:
        assert f"\n  {name} " in text
    assert [line.rstrip(":") for line in text.splitlines() if line.rstrip(":") in SECTIONS] == list(SECTIONS)


def test_there_is_a_command_for_each_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert modules == set(NAMES)


@pytest.mark.parametrize("group", GROUPS)
def test_a_groups_help_names_its_commands(lonely: Cli, group: str) -> None:
    text = lonely(group, "--help").stdout
    for name in GROUPS[group]:
        assert f"\n  {name} " in text
    assert "completion" not in text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("stats",), "No such command 'stats'. Did you mean 'status'? See `mnist-client --help`."),
        (("submit", "resme"), "No such command 'resme'. Did you mean 'resume'? See `mnist-client submit --help`."),
        (("submit", "train", "--epoch", "3"), "Did you mean --epochs? See `mnist-client submit train --help`."),
        (("frobnicate",), "No such command 'frobnicate'. See `mnist-client --help`."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_mistyped_is_guessed_at(lonely: Cli, typed: tuple[str, ...], meant: str) -> None:
    done = lonely(*typed)
    assert done.returncode == 2
    assert done.stderr.endswith(f"{meant}\n")


def test_help_shows_the_defaults_and_bounds_that_apply(lonely: Cli) -> None:
    text = " ".join(lonely("submit", "train", "--help").stdout.partition("Options:")[2].split())
    for name, field in TrainConfig.model_fields.items():
        option = f"--{name.replace('_', '-')} "
        assert option in text, name
        shown = text.partition(option)[2].partition("[default: ")[2].partition("]")[0]
        default, _, bounds = shown.partition("; ")
        if field.default is True:
            assert default == name.replace("_", "-")
        elif field.default is False:
            assert default == "off"
        elif isinstance(field.default, str):
            assert default == field.default
        elif isinstance(field.default, tuple):
            assert default == ",".join(map(str, field.default))
            assert limits_shown(bounds) == limits_of(FieldInfo.from_annotation(typing.get_args(field.annotation)[0])), (
                name
            )
        else:
            assert float(default) == field.default, name
            assert limits_shown(bounds) == limits_of(field), name


def limits_of(field: FieldInfo) -> dict[str, float]:
    """Its bounds, by pydantic's names for them."""
    kinds = ("ge", "gt", "le", "lt")
    return {kind: getattr(limit, kind) for limit in field.metadata for kind in kinds if hasattr(limit, kind)}


def limits_shown(bounds: str) -> dict[str, float]:
    """`above 0, to 10` as {gt: 0, le: 10}; `0 to below 1 each` as {ge: 0, lt: 1}."""
    low, high = (float(number) for number in re.findall(r"[0-9.]+", bounds))
    return {"gt" if "above" in bounds else "ge": low, "lt" if "below" in bounds else "le": high}


def test_version(lonely: Cli) -> None:
    assert re.fullmatch(r"mnist-client \d+\.\d+\.\d+\n", lonely("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], ["pydantic", "redis", "rich", "torch", "celery"]),
        (["submit", "train", "--help"], ["pydantic", "redis", "rich", "torch", "celery"]),
        (["submit", "train"], ["rich", "torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["status"], ["rich", "torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["follow"], ["torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["workers"], ["torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["cancel", "last"], ["torch", "torchvision", "celery", "kombu", "mnist_worker"]),
    ],
    ids=lambda value: " ".join(value) if "torch" not in value else "",
)
def test_a_command_loads_only_what_it_needs(cli: Cli, arguments: list[str], forbidden: list[str]) -> None:
    program = (
        "import sys\n"
        "from mnist_client.cli import run\n"
        "run(sys.argv[1:])\n"
        "print('loaded:', *sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=cli.environment, capture_output=True, text=True, timeout=60
    )
    loaded = set(done.stderr.rpartition("loaded:")[2].split())
    assert "typer" in loaded
    assert loaded.isdisjoint(forbidden)


def test_importing_all_of_the_client_loads_no_torch_and_no_celery() -> None:
    program = (
        "import importlib, pkgutil, sys, mnist_client\n"
        "for module in pkgutil.walk_packages(mnist_client.__path__, 'mnist_client.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*sys.modules)\n"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "mnist_client.stack.supervisor" in loaded
    assert not {"torch", "torchvision", "celery", "kombu", "sklearn"} & set(loaded)


def test_every_exit_code_has_a_meaning() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert codes == set(exits.MEANINGS)
