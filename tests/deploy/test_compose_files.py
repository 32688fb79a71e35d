"""What the Compose files promise, read from them: no engine needed."""

import os
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "container_name"} & set(service)
    assert name in ("prometheus", "grafana") or service["deploy"]["resources"]["limits"].keys() >= {"memory", "pids"}


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_this_machine(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not ports or SERVICES[name]["profiles"] == ["observability"]


def test_only_redis_mounts_the_password_of_another_role() -> None:
    for name, service in SERVICES.items():
        mounted = [volume for volume in service.get("volumes", []) if volume.startswith("password-")]
        if name != "redis":
            assert [volume.partition(":")[0] for volume in mounted] in ([], [f"password-{name}"])
            assert all(volume.endswith(":ro") for volume in mounted)


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_stands_in_an_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert "PASSWORD" not in variable or variable.endswith("_FILE")
        assert not re.search(r"://[^/]*:[^/]*@", str(value))


def test_the_broker_is_on_a_network_that_leads_nowhere() -> None:
    assert SERVICES["redis"]["networks"] == ["broker"]
    assert PROJECT["networks"]["broker"] == {"internal": True}
    assert SERVICES["client"]["networks"] == ["broker"]


def test_every_setting_that_the_files_take_is_in_the_example() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / "docker-compose.gpu.yml"]
    taken = {name for file in files for name in re.findall(r"\$\{([A-Z_]+)", file.read_text())}
    shown = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert taken == shown


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.name))
def test_every_image_runs_as_nobody_and_builds_on_an_old_engine(file: Any) -> None:
    text = file.read_text()
    assert "\nUSER 10001:10001\n" in text
    assert "\nSTOPSIGNAL SIG" in text
    assert "org.opencontainers.image.title" in text
    assert not re.search(r"# *syntax=|--link[ =]|<<-?['\"]?[A-Z]", text)
    assert not re.search(r"\b(gcc|build-essential|apt-get)\b", text)
    assert not re.search(r"https?://", text)  # a registry's address is whoever builds' own affair


def test_the_ignore_file_lets_into_an_image_what_it_needs_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "**"
    copied = {part for file in DOCKERFILES for part in re.findall(r"^COPY (\w+)", file.read_text(), re.MULTILINE)}
    assert {f"!{name}" for name in copied if (ROOT / name).is_dir()} <= set(lines)


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").rglob("*.sh")), ids=lambda path: str(path.name))
def test_every_script_is_posix_shell(script: Any) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(script)], check=True, env=dict(os.environ))
