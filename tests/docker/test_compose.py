"""What the README promises of `docker compose up --scale worker=2`, on a real engine."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.project import Project, container_of, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

CLIENT_BYTES = 200e6
RECOVERY_SECONDS = 20.0  # SIGKILL to resumed, as promised
HAND_BACK_SECONDS = 10.0  # SIGTERM to resumed; 2 s are promised, the rest is for docker itself on a busy machine
ASKING_SECONDS = 3.0  # what our own polling through `docker exec` may add

# Long enough to be disturbed, with a checkpoint a second.
DIGITS = ("--dataset", "digits", "--epochs", "30", "--checkpoint-every-seconds", "1")

Saw = Callable[[str, object], None]
Start = Callable[..., Project]


def test_images_build_and_the_client_has_no_torch(build_seconds: float, record_property: Saw) -> None:
    sizes = {}
    for image in ("mnist-queue-worker", "mnist-queue-client"):
        about = json.loads(docker("image", "inspect", image))[0]
        sizes[image] = about["Size"]
        assert about["Config"]["User"] == "10001:10001"
    assert sizes["mnist-queue-client"] < CLIENT_BYTES
    packages = docker("run", "--rm", "--entrypoint", "pip", "mnist-queue-client", "list", "--format", "freeze").lower()
    for package in ("torch", "celery", "numpy"):
        assert f"\n{package}=" not in packages
    found = [f"{image.rpartition('-')[2]} {size / 1e6:.0f} MB" for image, size in sizes.items()]
    record_property("saw", f"build {build_seconds:.0f} s; {', '.join(found)}; no torch in the client")


def test_two_runs_at_once_on_two_workers(start_project: Start, mnist_dir: str, record_property: Saw) -> None:
    project = start_project(workers=2, data_dir=mnist_dir)
    options = ("--epochs", "1") if mnist_dir else DIGITS
    first, second = (project.submit(*options, "--seed", seed) for seed in ("1", "2"))
    owners = {project.wait_for_attempt(run_id, 1, seconds=30)["worker"] for run_id in (first, second)}
    assert len(owners) == 2
    records = [project.wait_for_success(run_id) for run_id in (first, second)]
    # Each began before the other ended. The times are the Redis server's, in ISO 8601: they sort as text.
    assert max(record["started_at"] for record in records) < min(record["finished_at"] for record in records)
    accuracies = [f"{record['result']['test_accuracy']:.2%}" for record in records]
    record_property("saw", f"{'MNIST' if mnist_dir else 'digits'}: {' and '.join(accuracies)}, overlapping")


def test_the_command_of_the_readme_trains_and_follows(
    start_project: Start, mnist_dir: str, record_property: Saw
) -> None:
    project = start_project(workers=1, data_dir=mnist_dir)
    dataset = "mnist" if mnist_dir else "digits"
    command = ("run", "--rm", "-T", "client", "submit", "train", "--dataset", dataset, "--epochs", "1", "--follow")
    started = time.monotonic()
    run_id = project.compose(*command, seconds=600)
    seconds = time.monotonic() - started
    record = project.record(run_id)
    assert record["state"] == "succeeded", record["error"]
    record_property("saw", f"{dataset}, 1 epoch: {record['result']['test_accuracy']:.2%}, exit 0 after {seconds:.0f} s")


def test_nobody_is_root_and_the_root_is_read_only(start_project: Start, mnist_dir: str, record_property: Saw) -> None:
    project = start_project(workers=1, data_dir=mnist_dir)
    for service in ("worker", "client"):
        assert project.shell(service, "id -u; id -g").split() == ["10001", "10001"]
        assert project.shell(service, "touch /x 2>&1 || true").endswith("Read-only file system")
        assert project.shell(service, "touch /tmp/x /data/storage/.x && rm /data/storage/.x && echo ok") == "ok"
        capabilities = project.shell(service, "grep -h CapEff /proc/1/status").split()[1]
        assert int(capabilities, 16) == 0
    if mnist_dir:
        assert project.shell("worker", "touch /data/datasets/x 2>&1 || true").endswith("Read-only file system")
    redis = project.compose("ps", "-q", "redis")
    assert not json.loads(docker("inspect", redis))[0]["HostConfig"]["PortBindings"]
    record_property("saw", "uid 10001, no capability, root and data sets read-only, no port published")


def test_a_stopped_worker_hands_its_run_to_the_other(start_project: Start, record_property: Saw) -> None:
    project = start_project(workers=2)
    run_id = project.submit(*DIGITS)
    before = project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    docker("stop", container_of(before))  # `docker compose stop` would stop both
    stopped = time.monotonic() - started
    after = project.wait_for_attempt(run_id, 2, seconds=30)
    resumed = time.monotonic() - started
    assert json.loads(docker("inspect", container_of(before)))[0]["State"]["ExitCode"] == 0
    assert container_of(after) != container_of(before)
    assert resumed < HAND_BACK_SECONDS + ASKING_SECONDS
    assert project.wait_for_success(run_id)["attempt"] == 2
    record_property("saw", f"stopped after {stopped:.1f} s, exit 0; seen resumed by the other after {resumed:.1f} s")


def test_a_killed_worker_costs_nothing_but_seconds(start_project: Start, record_property: Saw) -> None:
    project = start_project(workers=2)
    run_id = project.submit(*DIGITS)
    before = project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    docker("kill", container_of(before))  # SIGKILL; after this `restart:` does not start it again
    after = project.wait_for_attempt(run_id, 2, seconds=60)
    resumed = time.monotonic() - started
    assert container_of(after) != container_of(before)
    assert resumed < RECOVERY_SECONDS + ASKING_SECONDS
    disturbed = project.wait_for_success(run_id)
    undisturbed = project.wait_for_success(project.submit(*DIGITS))
    assert (disturbed["attempt"], undisturbed["attempt"]) == (2, 1)
    digests = [record["result"]["weights_sha256"] for record in (disturbed, undisturbed)]
    assert digests[0] == digests[1]
    record_property("saw", f"seen resumed after {resumed:.1f} s; same weights as undisturbed, {digests[0][:12]}")


def test_a_run_goes_on_while_redis_restarts(start_project: Start, record_property: Saw) -> None:
    project = start_project(workers=1)
    run_id = project.submit(*DIGITS)
    project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    project.compose("restart", "redis")
    restarted = time.monotonic() - started
    assert project.record(run_id)["state"] == "running"
    record = project.wait_for_success(run_id)
    assert record["attempt"] == 1
    record_property("saw", f"restarted in {restarted:.1f} s; ended on its first attempt")


def test_down_and_up_again_loses_nothing(start_project: Start, record_property: Saw) -> None:
    project = start_project(workers=1)
    ended = project.wait_for_success(project.submit("--dataset", "digits", "--epochs", "1"))
    under_way = project.submit(*DIGITS)
    project.wait_for_checkpoint(under_way)
    project.down()
    project.up(workers=1)
    assert project.record(ended["id"]) == ended
    assert project.wait_for_success(under_way)["attempt"] == 2
    evaluation = project.client("evaluate", ended["id"])  # needs the checkpoint's file
    assert evaluation["correct"] == ended["result"]["test_correct"]
    record_property("saw", "ended run's record and checkpoint there; run under way resumed and ended")


def test_without_data_and_without_network_a_run_fails_with_what_to_do(
    start_project: Start, tmp_path: Path, record_property: Saw
) -> None:
    offline = tmp_path / "offline.yml"
    offline.write_text("networks: {default: {internal: true}}\n")
    project = start_project(workers=1, overlay=offline)
    record = project.wait_for_end(project.submit("--epochs", "1"))
    assert (record["state"], record["error"]["kind"]) == ("failed", "DatasetError")
    assert "MNIST_DATA_DIR" in record["error"]["hint"]
    assert project.wait_for_success(project.submit("--dataset", "digits", "--epochs", "1"))
    record_property("saw", record["error"]["message"])
