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
