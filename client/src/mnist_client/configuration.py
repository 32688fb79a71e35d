"""The configuration file: where the broker and the volume are, by profile, and what a training defaults to here.

    default_profile = "lab"

    [profiles.lab]
    broker = "redis://lab.example:6379/0"
    password_file = "~/.config/mnist-queue/lab.password"
    storage = "/mnt/mnist"

    [train]
    dataset = "fashion-mnist"

What stands outside a profile holds for all of them. Nothing here needs pydantic: every command reads it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_shared.errors import InvalidInput

# key -> (its type, the variable that comes before it)
KEYS: dict[str, tuple[type, str]] = {
    "broker": (str, "MNIST_BROKER_URL"),
    "password_file": (str, ""),
    "storage": (str, "MNIST_STORAGE_DIR"),
    "data": (str, "MNIST_DATA_DIR"),
    "lease_seconds": (float, "MNIST_LEASE_SECONDS"),
    "color": (bool, "NO_COLOR"),
}
# Nothing that belongs to a recipe (epochs, learning rate, ...): a file far away must not change what a command trains.
TRAIN_KEYS: dict[str, type] = {
    "preset": str,
    "dataset": str,
    "seed": int,
    "no_cuda": bool,
    "no_mps": bool,
    "deterministic": bool,
    "log_interval": int,
    "checkpoint_every_seconds": float,
    "keep_last": int,
}
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}
_CHECK = "See `mnist-client config show`."


@dataclass(frozen=True)
class Configuration:
    """The file, with one profile chosen."""

    path: Path
    exists: bool = False
    profile: str | None = None
    is_profile_asked_for: bool = False  # by `--profile`: its values then come before the environment's
    profiles: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)  # by KEYS
    places: Mapping[str, str] = field(default_factory=dict)  # key, also "train.seed" -> "profile lab" or "file"
    train: Mapping[str, Any] = field(default_factory=dict)  # by TRAIN_KEYS

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """`environment` with the file's values where it has none; over it, where the profile was asked for.

        Raises:
            InvalidInput: the password file cannot be read.
        """
        merged = {name: value for name, value in environment.items() if value}
        for key, (_, variable) in KEYS.items():
            if key in self.values and key not in ("color", "password_file") and self.comes_first(key, environment):
                merged[variable] = self.broker_url if key == "broker" else str(self.values[key])
        return merged

    def comes_first(self, key: str, environment: Mapping[str, str]) -> bool:
        """Whether the file's value of `key` applies, there being no flag."""
        if key not in self.values:
            return False
        from_profile = self.is_profile_asked_for and self.places[key].startswith("profile")
        return from_profile or not environment.get(KEYS[key][1])

    @property
    def broker_url(self) -> str:
        """The broker with its password, which may lie in a file of its own."""
        url, password_file = str(self.values["broker"]), self.values.get("password_file")
        if password_file is None:
            return url
        path = Path(os.path.expanduser(password_file))
        try:
            password = path.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The password file {path} cannot be read: {error}.", hint=_CHECK) from error
        return with_password(url, password)


def configuration_path(environment: Mapping[str, str] | None = None) -> Path:
    """MNIST_CONFIG, else `mnist-queue/config.toml` under XDG_CONFIG_HOME or ~/.config."""
    environment = os.environ if environment is None else environment
    if named := environment.get("MNIST_CONFIG"):
        return Path(os.path.expanduser(named))
    home = environment.get("XDG_CONFIG_HOME") or ""
    folder = (
        Path(home) if home.startswith("/") else Path("~/.config").expanduser()
    )  # relative: to be ignored, as XDG says
    return folder / "mnist-queue" / "config.toml"


def load_configuration(environment: Mapping[str, str] | None = None, *, profile: str | None = None) -> Configuration:
    """The file as it applies, with the profile of `profile` (the flag), MNIST_PROFILE or `default_profile`.

    Raises:
        InvalidInput: it cannot be read, is not TOML, has an unknown key or one of a wrong type, or no such profile.
    """
    environment = os.environ if environment is None else environment
    path = configuration_path(environment)
    text: str | None = None
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if environment.get("MNIST_CONFIG"):
            raise InvalidInput(
                f"There is no configuration file {path}.", hint="Make one, or unset MNIST_CONFIG."
            ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The configuration file {path} cannot be read: {error}.", hint=_CHECK) from error
    return _chosen(_parsed(text or "", path), path, exists=text is not None, flag=profile, environment=environment)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    if not text:
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not TOML: {error}.", hint="Mend that line.") from error


def _chosen(
    document: dict[str, Any], path: Path, *, exists: bool, flag: str | None, environment: Mapping[str, str]
) -> Configuration:
    outside = {key: kind for key, (kind, _) in KEYS.items()}
    _check(document, outside | {"default_profile": str, "profiles": dict, "train": dict}, "", path)
    _check(document.get("train", {}), TRAIN_KEYS, "train.", path)
    profiles: dict[str, Any] = document.get("profiles", {})
    _check(profiles, dict.fromkeys(profiles, dict), "profiles.", path)
    for each, table in profiles.items():
        _check(table, outside | {"train": dict}, f"profiles.{each}.", path)
        _check(table.get("train", {}), TRAIN_KEYS, f"profiles.{each}.train.", path)

    name: str | None = flag or environment.get("MNIST_PROFILE") or document.get("default_profile")
    if name is not None and name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise InvalidInput(
            f"There is no profile {name!r:.80} in {path}.", hint=f"Those there are: {known}{_meant(name, profiles)}."
        )
    table = profiles.get(name, {}) if name is not None else {}
    values = {key: document[key] for key in KEYS if key in document}
    if "broker" in table:
        values.pop("password_file", None)  # it belongs to the other broker
    train, profile_train = document.get("train", {}), table.get("train", {})
    here, there = f"profile {name}", "file"
    places = dict.fromkeys(values, there) | {key: here for key in KEYS if key in table}
    places |= {f"train.{key}": here if key in profile_train else there for key in (*train, *profile_train)}
    return Configuration(
        path=path,
        exists=exists,
        profile=name,
        is_profile_asked_for=bool(flag),
        profiles=tuple(sorted(profiles)),
        values=values | {key: table[key] for key in KEYS if key in table},
        places=places,
        train={**train, **profile_train},
    )


def _check(table: Mapping[str, Any], kinds: Mapping[str, type], prefix: str, path: Path) -> None:
    for key, value in table.items():
        if key not in kinds:
            raise InvalidInput(
                f"{path}: {prefix}{key} is not a key{_meant(key, kinds)}.", hint=f"Those there are: {', '.join(kinds)}."
            )
        kind = kinds[key]
        is_number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if not is_number and type(value) is not kind:
            raise InvalidInput(f"{path}: {prefix}{key} is not {_WORDS[kind]}.", hint="Mend that line.")


def _meant(word: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]}" if found else ""


def with_password(url: str, password: str) -> str:
    """`url` with `password` in it."""
    from urllib.parse import quote, urlsplit, urlunsplit

    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))
