"""Where things are: flags before the environment before defaults."""

from pathlib import Path

import pytest

from mnist_shared.errors import InvalidInput
from mnist_shared.settings import Settings


def test_flags_come_before_the_environment_and_that_before_defaults(tmp_path: Path) -> None:
    assert Settings.from_environment({}).storage_dir == Path("~/.mnist-queue").expanduser()
    environment = {"MNIST_STORAGE_DIR": "/volume", "MNIST_BROKER_URL": "redis://there"}
    settings = Settings.from_environment(environment)
    assert (settings.storage_dir, settings.broker_url) == (Path("/volume"), "redis://there")
    assert settings.data_dir == Path("/volume/datasets")
    settings = Settings.from_environment(environment, broker="redis://here", storage=tmp_path)
    assert (settings.storage_dir, settings.broker_url) == (tmp_path, "redis://here")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Settings.from_environment({"MNIST_BROKER_URL": "redis://:secret@there"}))


@pytest.mark.parametrize("text", ["soon", "0", "-5", "1e9", "nan"])
def test_a_lease_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="MNIST_LEASE_SECONDS"):
        Settings.from_environment({"MNIST_LEASE_SECONDS": text})


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://there:6379/0", "redis://:a%2Fb%40c@there:6379/0"),
        ("rediss://worker@there/0?ssl_ca_certs=/ca.pem", "rediss://worker:a%2Fb%40c@there/0?ssl_ca_certs=/ca.pem"),
        ("redis://worker:@there", "redis://worker:@there"),
        ("redis://:known@there", "redis://:known@there"),
    ],
)
def test_a_url_without_a_password_gets_the_one_in_the_file(tmp_path: Path, url: str, complete: str) -> None:
    file = tmp_path / "password"
    file.write_text(" a/b@c\n")
    environment = {"MNIST_BROKER_URL": url, "MNIST_BROKER_PASSWORD_FILE": str(file)}
    settings = Settings.from_environment(environment)
    assert settings.broker_url == complete
    assert "a/b" not in repr(settings)
    # It is for the broker of the environment, and for no other.
    assert Settings.from_environment(environment, broker="redis://here").broker_url == "redis://here"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_password_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    environment = {"MNIST_BROKER_URL": "redis://there", "MNIST_BROKER_PASSWORD_FILE": str(file)}
    with pytest.raises(InvalidInput, match=str(file)):
        Settings.from_environment(environment)
