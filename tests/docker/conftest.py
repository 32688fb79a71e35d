"""The engine, the images, a project for each test, and the table at the end."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.project import Project, docker


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip, by name and with the reason, where there is no engine with Compose v2."""
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"no Docker engine with Compose v2: {error}")
        if done.returncode:
            pytest.skip(f"no Docker engine with Compose v2: `{' '.join(command)}`: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="session")
def build_seconds(engine: None) -> float:
    """Build both images; how long that took."""
    started = time.monotonic()
    docker("compose", "--profile", "client", "build", seconds=1500)
    return time.monotonic() - started


@pytest.fixture
def start_project(build_seconds: float, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """Start a project of the test's own; it is gone, volumes and all, when the test ends."""
    projects: list[Project] = []

    def start(*, workers: int, data_dir: str = "", overlay: Path | None = None) -> Project:
        project = Project(data_dir=data_dir, overlay=overlay)
        projects.append(project)
        project.up(workers=workers)
        return project

    yield start
    for project in projects:
        (tmp_path / f"{project.name}.log").write_text(project.compose("logs", "--no-color"))  # for whoever wonders
        project.remove()


@pytest.fixture(scope="session")
def mnist_dir() -> str:
    """The folder with MNIST, or nothing."""
    return os.environ.get("MNIST_DATA_DIR", "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was seen: one line a scenario, with what the test recorded as `saw`."""
    lines = []
    for result in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(result, []):
            # Every test has a report on its call; one that failed or was skipped before that, on its set-up.
            if "tests/docker/" not in report.nodeid or (report.when != "call" and result == "passed"):
                continue
            saw = "; ".join(str(value) for name, value in report.user_properties if name == "saw")
            scenario = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            lines.append(f"{scenario:<64} {result:<8} {report.duration:6.0f}  {saw}")
    if lines:
        terminalreporter.section("containers")
        terminalreporter.write_line(f"{'scenario':<64} {'result':<8} {'s':>6}  seen")
        for line in lines:
            terminalreporter.write_line(line)
