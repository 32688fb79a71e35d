"""The engine, the images, a project with two workers for most tests, and the table at the end."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.project import Project, docker


@pytest.fixture(scope="session")
def engine() -> str:
    """Its version. Skip, by name and with the reason, where there is no engine with Compose v2."""
    for command in (["docker", "version", "-f", "{{.Server.Version}}"], ["docker", "compose", "version", "--short"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"no Docker engine with Compose v2: {error}")
        if done.returncode:
            pytest.skip(f"no Docker engine with Compose v2: `{' '.join(command)}`: {done.stderr.strip()[-200:]}")
    return f"engine {docker('version', '-f', '{{.Server.Version}}')}, Compose {docker('compose', 'version', '--short')}"


@pytest.fixture(scope="session")
def build_seconds(engine: str) -> float:
    """Build all images; how long that took. TORCH_BACKEND decides which torch the worker's gets."""
    started = time.monotonic()
    docker("compose", "--profile", "client", "--profile", "observability", "build", seconds=2400)
    return time.monotonic() - started


@pytest.fixture(scope="session")
def mnist_dir() -> str:
    """The folder with MNIST, or nothing."""
    return os.environ.get("MNIST_DATA_DIR", "")


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the containers' logs are left, for whoever wonders."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def shared_project(build_seconds: float, mnist_dir: str, logs: Path) -> Iterator[Project]:
    project = Project(variables={"MNIST_DATA_DIR": mnist_dir})
    try:
        project.up(workers=2)
        yield project
    finally:
        (logs / f"{project.name}.log").write_text(project.compose("logs", "--no-color"))
        project.remove()


@pytest.fixture
def project(shared_project: Project) -> Project:
    """A project with two workers that are ready, whatever a test before has done to them."""
    shared_project.heal(workers=2)
    return shared_project


@pytest.fixture
def start_project(build_seconds: float, logs: Path, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """Start a project of the test's own; it is gone, volumes and all, when the test ends.

    Its files may lie in `tmp_path`, which is asked for here so that it outlives the project.
    """
    projects: list[Project] = []

    def start(*services: str, workers: int, **arguments: object) -> Project:
        project = Project(**arguments)  # type: ignore[arg-type]
        projects.append(project)
        project.up(*services, workers=workers)
        return project

    yield start
    for project in reversed(projects):
        (logs / f"{project.name}.log").write_text(project.compose("logs", "--no-color"))
        project.remove()


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
            lines.append(f"{scenario:<68} {result:<8} {report.duration:6.0f}  {saw}")
    if lines:
        terminalreporter.section("containers")
        terminalreporter.write_line(f"{'scenario':<68} {'result':<8} {'s':>6}  seen")
        for line in lines:
            terminalreporter.write_line(line)
