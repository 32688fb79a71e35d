"""Help: an example each, the true defaults and bounds, and nothing heavy loaded for it."""

import re
import subprocess
import sys

import pytest

from mnist_client import exits
from mnist_shared.contracts.config import TrainConfig
from tests.client.conftest import Cli

COMMANDS = [
    ("submit", "train"),
    ("submit", "resume"),
    ("submit", "evaluate"),
    ("evaluate",),
    ("status",),
    ("follow",),
    ("wait",),
    ("cancel",),
    ("workers",),
    ("up",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(lonely: Cli, command: tuple[str, ...]) -> None:
    done = lonely(*command, "--help")
    assert done.returncode == 0
    assert f"  mnist-client {' '.join(command)}" in done.stdout.partition("Example:")[2]


def test_help_of_the_whole_names_every_command(lonely: Cli) -> None:
    text = lonely("--help").stdout
    assert lonely().stdout == text
    assert lonely("submit").stdout == lonely("submit", "--help").stdout
    for command in COMMANDS:
        assert f"  {command[0]} " in text


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
        else:
            assert float(default) == field.default, name
            limits = {
                kind: getattr(limit, kind)
                for limit in field.metadata
                for kind in ("ge", "gt", "le")
                if hasattr(limit, kind)
            }
            found = [float(number) for number in re.findall(r"[0-9.]+", bounds)]
            assert found == [limits.get("ge", limits.get("gt")), limits["le"]], name
            assert ("above" in bounds) == ("gt" in limits)


def test_version(lonely: Cli) -> None:
    assert re.fullmatch(r"mnist-client \d+\.\d+\.\d+\n", lonely("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], ["pydantic", "redis", "rich", "torch", "celery"]),
        (["submit", "train", "--help"], ["redis", "rich", "torch", "celery"]),
        (["submit", "train"], ["rich", "torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["status"], ["rich", "torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["follow"], ["torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["workers"], ["torch", "torchvision", "celery", "kombu", "mnist_worker"]),
        (["cancel", "last"], ["torch", "torchvision", "celery", "kombu", "mnist_worker"]),
    ],
    ids=lambda value: " ".join(value) if value[0] != "pydantic" else "",
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
