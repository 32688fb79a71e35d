"""The configuration file: what applies, where it comes from, and what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_client.configuration import configuration_path, load_configuration, with_password
from mnist_client.context import CommandContext
from mnist_shared.errors import InvalidInput
from mnist_shared.settings import without_secrets
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli

FILE = """
default_profile = "lab"
storage = "/everywhere"

[train]
dataset = "digits"
seed = 3

[profiles.lab]
broker = "redis://lab:6379/0"
color = false

[profiles.home]
broker = "redis://home:6379/0"
storage = "/home-volume"

[profiles.home.train]
seed = 4
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write the file; the environment points at it."""

    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        monkeypatch.setenv("MNIST_CONFIG", str(path))
        return path

    return write


def test_a_profile_comes_before_what_holds_for_all(config: Callable[[str], Path]) -> None:
    config(FILE)
    lab, home = CommandContext().settings, CommandContext(profile="home").settings
    assert (lab.broker_url, str(lab.storage_dir)) == ("redis://lab:6379/0", "/everywhere")
    assert (home.broker_url, str(home.storage_dir)) == ("redis://home:6379/0", "/home-volume")
    assert load_configuration(profile="home").train == {"dataset": "digits", "seed": 4}
    assert CommandContext().output.no_color
    assert not CommandContext(profile="home").output.no_color


def test_flag_before_environment_before_file_before_default(
    config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config(FILE)
    monkeypatch.setenv("MNIST_STORAGE_DIR", "/of-the-environment")
    assert str(CommandContext().settings.storage_dir) == "/of-the-environment"
    assert str(CommandContext(storage=Path("/flag")).settings.storage_dir) == "/flag"
    assert CommandContext(broker="redis://flag").settings.broker_url == "redis://flag"
    assert str(CommandContext().settings.data_dir) == "/of-the-environment/datasets"


def test_a_profile_that_is_asked_for_by_its_flag_comes_before_the_environment(
    config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config(FILE)
    monkeypatch.setenv("MNIST_BROKER_URL", "redis://of-the-environment")
    monkeypatch.setenv("MNIST_STORAGE_DIR", "/of-the-environment")
    settings = CommandContext(profile="lab").settings
    # What is the profile's own, that is: not what holds for all.
    assert (settings.broker_url, str(settings.storage_dir)) == ("redis://lab:6379/0", "/of-the-environment")
    monkeypatch.setenv("MNIST_PROFILE", "home")
    assert CommandContext().settings.broker_url == "redis://of-the-environment"


def test_the_password_may_lie_in_a_file_of_its_own(config: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    config(f'broker = "redis://lab/0"\npassword_file = "{tmp_path}/password"\n[profiles.x]\nbroker = "redis://x/0"')
    assert CommandContext().settings.broker_url == "redis://:p%40ss%2Fword@lab/0"
    assert CommandContext(profile="x").settings.broker_url == "redis://x/0"  # never another broker's password
    (tmp_path / "password").unlink()
    with pytest.raises(InvalidInput, match="password file"):
        _ = CommandContext().settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("broker = ", "is not TOML"),
        ('brokr = "redis://x"', "brokr is not a key; did you mean broker"),
        ("broker = 5", "broker is not a text"),
        ("color = 1", "color is not true or false"),
        ("lease_seconds = true", "lease_seconds is not a number"),
        ("train = 5", "train is not a table"),
        ("[train]\nepochs = 3", "train.epochs is not a key"),
        ("[train]\nseed = 1.5", "train.seed is not a whole number"),
        ('[profiles.lab]\nbrokers = "x"', "profiles.lab.brokers is not a key"),
        ("[profiles]\nlab = 5", "profiles.lab is not a table"),
        ('default_profile = "lab"', "There is no profile 'lab'"),
        ('default_profile = "lap"\n[profiles.lab]', "did you mean lab"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(config: Callable[[str], Path], text: str, words: str) -> None:
    path = config(text)
    with pytest.raises(InvalidInput) as caught:
        load_configuration()
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_where_the_file_is() -> None:
    assert configuration_path({"MNIST_CONFIG": "/a.toml", "XDG_CONFIG_HOME": "/x"}) == Path("/a.toml")
    assert configuration_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/mnist-queue/config.toml")
    assert configuration_path({"XDG_CONFIG_HOME": "x"}).is_relative_to(Path.home())
    with pytest.raises(InvalidInput, match="There is no configuration file"):
        load_configuration({"MNIST_CONFIG": "/nowhere/config.toml"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("redis://user:secret@h/0", "redis://user:***@h/0"),
        ("redis://h/0?password=secret&db=1", "redis://h/0?password=***&db=***"),
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://[::1", "(unreadable URL)"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_a_password_is_put_in_whatever_it_holds() -> None:
    assert with_password("redis://user:old@h:1/0", "a:b@c") == "redis://user:a%3Ab%40c@h:1/0"


# ---- through the command --------------------------------------------------------------------------------------------


def test_config_show_names_each_source_and_no_password(lonely: Cli, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    path = tmp_path / "c.toml"
    path.write_text(
        f'broker = "redis://:secret@h/0"\ndata = "/d"\n[train]\nseed = 2\n'
        f'[profiles.p]\nbroker = "redis://p/0"\npassword_file = "{tmp_path}/password"'
    )
    told = lonely("config", "show", "--json", MNIST_CONFIG=str(path), MNIST_PROFILE="p", MNIST_LEASE_SECONDS="5")
    assert "secret" not in told.stdout + told.stderr
    settings = json.loads(told.stdout)["settings"]
    assert settings["broker"] == {"value": "redis://:***@p/0", "source": "profile p"}
    assert settings["data"] == {"value": "/d", "source": "file"}
    assert settings["storage"]["source"] == "MNIST_STORAGE_DIR"
    assert settings["lease_seconds"] == {"value": 5.0, "source": "MNIST_LEASE_SECONDS"}
    assert settings["color"] == {"value": False, "source": "NO_COLOR"}
    assert settings["train.seed"] == {"value": 2, "source": "file"}
    shown = lonely("--broker", "redis://u:secret@f/0", "config", "show", MNIST_CONFIG=str(path))
    assert "secret" not in shown.stdout + shown.stderr
    assert shown.stdout.splitlines()[0].split() == ["broker", "redis://u:***@f/0", "flag"]
    assert f"file: {path}" in shown.stderr


def test_config_show_without_a_file_or_a_broker(lonely: Cli, tmp_path: Path) -> None:
    done = lonely("config", "show")
    assert done.returncode == 0
    assert ["broker", "-", "no", "stack", "is", "running"] in [line.split() for line in done.stdout.splitlines()]
    assert "(there is none)" in done.stderr
    assert lonely("config", "path").stdout == f"{tmp_path}/config/mnist-queue/config.toml\n"


def test_a_wrong_file_ends_any_command_with_2(lonely: Cli, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[profiles.lab]\nbroker = 5")
    for command in (("status",), ("config", "show"), ("--profile", "none", "submit", "train")):
        done = lonely(*command, MNIST_CONFIG=str(tmp_path / "c.toml"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "profiles.lab.broker is not a text" in done.stderr


def test_a_run_is_sent_by_the_files_broker_with_its_training_defaults(
    cli: Cli, store: RunStore, tmp_path: Path
) -> None:
    url = cli.environment.pop("MNIST_BROKER_URL")
    folder = tmp_path / "config" / "mnist-queue"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'[profiles.p]\nbroker = "{url}"\n'
        '[profiles.p.train]\nseed = 9\ndataset = "digits"\ncheckpoint_every_seconds = 5'
    )
    done = cli("--profile", "p", "submit", "train", "--dataset", "kmnist")
    config = store.get(done.stdout.strip()).request.config
    assert (config.seed, config.dataset, config.checkpoint_every_seconds) == (9, "kmnist", 5.0)
    assert "config.toml: seed 9, checkpoint-every-seconds 5\n" in done.stderr
    assert f"mnist-client --profile p follow {done.stdout.strip()}" in done.stderr
