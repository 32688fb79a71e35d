"""What the README promises of `docker compose up --scale worker=2`, on a real engine."""

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.docker.project import Project, about, container_of, docker, log_of
from tests.processes import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(2700)]

RECOVERY_SECONDS = 20.0  # SIGKILL to resumed, as promised
HAND_BACK_SECONDS = 10.0  # SIGTERM to resumed; 2 s are promised, the rest is for docker itself on a busy machine
ASKING_SECONDS = 3.0  # what our own polling through `docker exec` may add

# Long enough to be disturbed, with a checkpoint a second.
DIGITS = ("--dataset", "digits", "--epochs", "30", "--checkpoint-every-seconds", "1")
LONGER = ("--dataset", "digits", "--epochs", "40", "--checkpoint-every-seconds", "1")

Saw = Callable[[str, object], None]
Start = Callable[..., Project]


def test_two_runs_at_once_on_two_workers(project: Project, mnist_dir: str, record_property: Saw) -> None:
    options = ("--epochs", "1") if mnist_dir else DIGITS
    first, second = (project.submit(*options, "--seed", seed) for seed in ("1", "2"))
    owners = {project.wait_for_attempt(run_id, 1, seconds=30)["worker"] for run_id in (first, second)}
    assert len(owners) == 2
    records = [project.wait_for_success(run_id) for run_id in (first, second)]
    # Each began before the other ended. The times are the Redis server's, in ISO 8601: they sort as text.
    assert max(record["started_at"] for record in records) < min(record["finished_at"] for record in records)
    accuracies = [f"{record['result']['test_accuracy']:.2%}" for record in records]
    record_property("saw", f"{'MNIST' if mnist_dir else 'digits'}: {' and '.join(accuracies)}, overlapping")


def test_the_command_of_the_readme_trains_and_follows(project: Project, mnist_dir: str, record_property: Saw) -> None:
    dataset = "mnist" if mnist_dir else "digits"
    command = ("run", "--rm", "-T", "client", "submit", "train", "--dataset", dataset, "--epochs", "1", "--follow")
    started = time.monotonic()
    run_id = project.compose(*command, seconds=600)
    seconds = time.monotonic() - started
    record = project.record(run_id)
    assert record["state"] == "succeeded", record["error"]
    record_property("saw", f"{dataset}, 1 epoch: {record['result']['test_accuracy']:.2%}, exit 0 after {seconds:.0f} s")


def test_nobody_is_root_and_the_root_is_read_only(project: Project, mnist_dir: str, record_property: Saw) -> None:
    for service in ("worker", "client"):
        assert project.shell(service, "id -u; id -g").split() == ["10001", "10001"]
        assert project.shell(service, "touch /x 2>&1 || true").endswith("Read-only file system")
        assert project.shell(service, "touch /run/role/x 2>&1 || true").endswith("Read-only file system")
        assert project.shell(service, "touch /tmp/x /data/storage/.x && rm /data/storage/.x && echo ok") == "ok"
        capabilities = project.shell(service, "grep -h CapEff /proc/1/status").split()[1]
        assert int(capabilities, 16) == 0
        assert project.shell(service, "grep -h NoNewPrivs /proc/1/status").split()[1] == "1"
    if mnist_dir:
        assert project.shell("worker", "touch /data/datasets/x 2>&1 || true").endswith("Read-only file system")
    server = "for p in /proc/[0-9]*; do grep -qx redis-server $p/comm && cat $p/status; done 2>/dev/null; true"
    status = dict(line.split(":", 1) for line in project.shell("redis", server).splitlines() if ":" in line)
    assert status["Uid"].split()[0] == "999"
    assert int(status["CapEff"], 16) == 0
    limits = [about(container)["HostConfig"] for container in project.containers("worker")]
    assert all(limit["Memory"] > 0 and limit["PidsLimit"] > 0 for limit in limits)
    assert not about(project.containers("redis")[0])["HostConfig"]["PortBindings"]
    record_property("saw", "uid 10001 (Redis 999), no capability, root read-only, memory and pids limited, no port")


def test_passwords_are_where_they_belong_and_nowhere_else(project: Project, record_property: Saw) -> None:
    passwords = {
        role: project.compose("exec", "-T", "redis", "cat", f"/run/roles/{role}/password")
        for role in ("admin", "client", "operator", "worker", "metrics", "flower")
    }
    assert all(len(password) == 64 for password in passwords.values())
    assert project.shell("client", "cat /run/role/password") == passwords["client"]
    assert project.shell("worker", "cat /run/role/password") == passwords["worker"]
    seen = [docker("inspect", one) for service in ("redis", "worker") for one in project.containers(service)]
    seen += [project.shell(service, "cat /proc/[0-9]*/cmdline; env") for service in ("redis", "worker", "client")]
    seen.append(project.compose("logs", "--no-color"))
    assert not [role for role, password in passwords.items() if any(password in text for text in seen)]
    user = ("redis-cli", "--no-auth-warning", "--user", "client", "--pass", passwords["client"])
    forbidden = ("RPOP mnist:queue", "SET mnist:paused 1", "GET other", "FLUSHALL", "CONFIG GET *", "KEYS *")
    for command in forbidden:
        assert "NOPERM" in project.compose("exec", "-T", "redis", *user, *command.split()), command
    project.operate("queue", "pause")
    project.operate("queue", "resume")
    admin = ("redis-cli", "--no-auth-warning", "--user", "admin", "--pass", passwords["admin"])
    log = project.compose("exec", "-T", "redis", *admin, "ACL", "LOG")
    assert '"worker"' not in log
    assert "\nworker\n" not in log
    record_property("saw", "each container its own; none in inspect, arguments, environments, logs; client confined")


def test_a_worker_is_healthy_when_it_can_take_runs_and_logs_json(project: Project, record_property: Saw) -> None:
    for container in project.containers("worker"):
        eventually(lambda one=container: about(one)["State"]["Health"]["Status"] == "healthy", seconds=60)
    run_id = project.submit("--dataset", "digits", "--epochs", "1")
    record = project.wait_for_success(run_id)
    lines = [json.loads(line) for line in log_of(container_of(record)) if line.startswith("{")]
    of_run = [line for line in lines if line.get("run") == run_id]
    assert of_run
    assert {(line["attempt"], line["worker"]) for line in of_run} == {(1, record["worker"])}
    seconds = float(project.shell("worker", "python -c 'import time, subprocess as s; t=time.time(); "
                                            "s.run([\"mnist-worker-health\"], check=True, stdout=s.DEVNULL); "
                                            "print(time.time() - t)'"))  # fmt: skip
    record_property("saw", f"healthy; {len(of_run)} log lines with run, attempt and worker; a check {seconds:.2f} s")


def test_the_clients_image_predicts_what_a_photograph_shows(
    project: Project, mnist_dir: str, record_property: Saw
) -> None:
    """A JPEG, dark on light, is read in the client's container, and answered by a worker."""
    trained = project.wait_for_success(project.submit("--dataset", "mnist" if mnist_dir else "digits", "--epochs", "1"))
    image = Image.new("L", (200, 300), 235)
    ImageDraw.Draw(image).line([(100, 40), (100, 260)], fill=30, width=28)
    photograph = io.BytesIO()
    image.save(photograph, "JPEG")
    project.shell("client", f"echo {base64.b64encode(photograph.getvalue()).decode()} | base64 -d > /tmp/one.jpg")
    answer = project.client("predict", "/tmp/one.jpg", "--run", trained["id"])
    assert answer["answer"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert not mnist_dir or answer["answer"] == "1"
    record_property("saw", f"a JPEG of a one: {answer['answer']}, with {answer['probability']:.1%}")


def test_a_stopped_worker_hands_its_run_to_the_other(project: Project, record_property: Saw) -> None:
    run_id = project.submit(*DIGITS)
    before = project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    docker("stop", container_of(before))  # `docker compose stop` would stop both
    stopped = time.monotonic() - started
    after = project.wait_for_attempt(run_id, 2, seconds=30)
    resumed = time.monotonic() - started
    assert about(container_of(before))["State"]["ExitCode"] == 0
    assert container_of(after) != container_of(before)
    assert resumed < HAND_BACK_SECONDS + ASKING_SECONDS
    assert project.wait_for_success(run_id)["attempt"] == 2
    record_property("saw", f"stopped after {stopped:.1f} s, exit 0; seen resumed by the other after {resumed:.1f} s")


def test_a_killed_worker_costs_nothing_but_seconds(project: Project, record_property: Saw) -> None:
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


def test_a_paused_worker_loses_its_run_and_commits_nothing_when_it_is_back(
    project: Project, record_property: Saw
) -> None:
    run_id = project.submit(*LONGER)
    before = project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    docker("pause", container_of(before))
    after = project.wait_for_attempt(run_id, 2, seconds=60)
    resumed = time.monotonic() - started
    assert container_of(after) != container_of(before)
    docker("unpause", container_of(before))
    record = project.wait_for_success(run_id)
    assert (record["attempt"], record["worker"]) == (2, after["worker"])
    project.wait_for_workers(2)
    stale = f"run {run_id}"
    words = [line for line in log_of(container_of(before)) if stale in line]
    assert any("no longer owns" in line for line in words), words[-3:]
    record_property("saw", f"seen resumed after {resumed:.1f} s; unpaused, the first commits nothing and serves again")


def test_a_worker_cut_off_from_the_network_loses_its_run_and_comes_back(project: Project, record_property: Saw) -> None:
    run_id = project.submit(*LONGER)
    before = project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    docker("network", "disconnect", project.network, container_of(before))
    after = project.wait_for_attempt(run_id, 2, seconds=60)
    resumed = time.monotonic() - started
    assert container_of(after) != container_of(before)
    docker("network", "connect", project.network, container_of(before))
    record = project.wait_for_success(run_id)
    assert (record["attempt"], record["worker"]) == (2, after["worker"])
    started = time.monotonic()
    project.wait_for_workers(2)
    back = time.monotonic() - started
    record_property("saw", f"seen resumed after {resumed:.1f} s; reconnected, the first serves again ({back:.0f} s)")


def test_a_run_goes_on_while_redis_restarts(project: Project, record_property: Saw) -> None:
    run_id = project.submit(*LONGER)
    project.wait_for_checkpoint(run_id)
    started = time.monotonic()
    project.compose("restart", "redis")
    restarted = time.monotonic() - started
    eventually(lambda: project.compose("ps", "redis", "--format", "{{.Health}}") == "healthy", seconds=60)
    assert project.record(run_id)["state"] in ("running", "succeeded")
    record = project.wait_for_success(run_id)
    assert record["attempt"] == 1
    record_property("saw", f"restarted in {restarted:.1f} s; ended on its first attempt")


def test_metrics_flower_and_tensorboard_show_what_is_there(project: Project, record_property: Saw) -> None:
    run_id = project.submit("--dataset", "digits", "--epochs", "1")
    project.wait_for_success(run_id)
    services = ("metrics", "flower", "tensorboard")
    project.compose("up", "-d", "--no-build", "--no-deps", *services)
    address = {
        service: f"http://{project.compose('port', service, port)}"
        for service, port in zip(services, ("9108", "5555", "6006"), strict=True)
    }
    assert all(url.startswith("http://127.0.0.1:") for url in address.values())
    metrics = eventually(lambda: _fetched(address["metrics"] + "/metrics"), seconds=60, what="metrics")
    assert "mnist_up 1.0" in metrics
    assert 'mnist_workers{state="idle"} 2.0' in metrics
    epochs = next(line for line in metrics.splitlines() if line.startswith("mnist_epochs_total "))
    eventually(lambda: "@mnist" in _fetched(address["flower"] + "/workers?json=1"), seconds=60, what="Flower's workers")
    refused = _status(address["flower"] + "/api/worker/shutdown/any", data=b"")
    assert refused == 401
    runs = eventually(lambda: _fetched(address["tensorboard"] + "/data/runs"), seconds=90, what="TensorBoard's runs")
    project.compose("rm", "-s", "-f", *services)
    assert len(project.present()) == 2
    record_property("saw", f"{epochs}; Flower: workers, API 401; TensorBoard: {len(json.loads(runs))} runs")


def test_down_and_up_again_loses_nothing(project: Project, record_property: Saw) -> None:
    ended = project.wait_for_success(project.submit("--dataset", "digits", "--epochs", "1"))
    under_way = project.submit(*LONGER)
    project.wait_for_checkpoint(under_way)
    project.down()
    project.up(workers=2)
    assert project.record(ended["id"]) == ended
    assert project.wait_for_success(under_way)["attempt"] == 2
    evaluation = project.client("evaluate", ended["id"])  # needs the checkpoint's file
    assert evaluation["correct"] == ended["result"]["test_correct"]
    record_property("saw", "ended run's record and checkpoint there; run under way resumed and ended; same passwords")


def test_without_data_and_without_network_a_run_fails_with_what_to_do(
    start_project: Start, tmp_path: Path, record_property: Saw
) -> None:
    offline = tmp_path / "offline.yml"
    offline.write_text("networks: {downloads: {internal: true}}\n")
    project = start_project(workers=1, files=(offline,))
    record = project.wait_for_end(project.submit("--epochs", "1"))
    assert (record["state"], record["error"]["kind"]) == ("failed", "DatasetError")
    assert "MNIST_DATA_DIR" in record["error"]["hint"]
    assert project.wait_for_success(project.submit("--dataset", "digits", "--epochs", "1"))
    record_property("saw", record["error"]["message"])


def _fetched(url: str) -> str:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def _status(url: str, *, data: bytes) -> int:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, data=data, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
