"""What a process sets before torch is loaded, and that OpenMP takes it."""

import os
import subprocess
import sys

import pytest

PREPARED = "from mnist_shared.training.process import prepare_process; prepare_process(); import torch"


def openmp_settings(**environment: str) -> str:
    """What libgomp says of its settings as it is loaded by a prepared process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", PREPARED],
        env=kept | {"OMP_DISPLAY_ENV": "VERBOSE"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch does not use libgomp")
    return done.stderr


def test_threads_spin_for_a_moment_before_they_sleep() -> None:
    assert "GOMP_SPINCOUNT = '2000'" in openmp_settings()


def test_what_the_user_has_set_stays() -> None:
    assert "GOMP_SPINCOUNT = '77'" in openmp_settings(GOMP_SPINCOUNT="77")
    assert "GOMP_SPINCOUNT = '0'" in openmp_settings(OMP_WAIT_POLICY="PASSIVE")
