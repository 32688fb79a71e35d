"""`status` and `workers`: tables that fit, details, JSON."""

import json
import time
from collections.abc import Callable

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.contracts.workers import DeviceInfo, WorkerInfo
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.client.conftest import Cli
from tests.client.owner import Owner


@pytest.fixture
def zoo(store: RunStore, owned: Callable[..., Owner], submitted: Callable[..., str]) -> dict[str, str]:
    """A run in every state."""
    runs = {"succeeded": owned(epochs=15).train(), "failed": owned(worker="worker-2").fail()}
    running = owned(epochs=15, worker="gpu-machine-17-b2f0")
    running.start()
    for epoch in range(1, 7):
        running.epoch(epoch)
    running.batch(7, 404)
    runs["running"] = running.run_id
    runs["evaluation"] = store.submit(EvaluateRequest(target=runs["succeeded"], config=TrainConfig())).run_id
    Owner(store, runs["evaluation"]).evaluate()
    runs["cancelled"] = submitted()
    store.cancel(runs["cancelled"])
    runs["queued"] = submitted(epochs=3)
    return runs


def test_the_table_has_a_row_a_run_the_newest_first(cli: Cli, store: RunStore, zoo: dict[str, str]) -> None:
    done = cli("status")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["RUN", "KIND", "STATE", "PROGRESS", "ACCURACY", "LOSS", "WORKER", "AGE", "REASON"]
    assert [row.split()[0] for row in rows] == [record.id for record in store.latest(20)]
    by_id = {row.split()[0]: row.split()[1:] for row in rows}
    assert by_id[zoo["running"]][:6] == ["train", "running", "6/15", "43%", "99.00%", "0.2500"]
    assert by_id[zoo["succeeded"]][:5] == ["train", "succeeded", "15/15", "99.15%", "0.0211"]
    assert by_id[zoo["evaluation"]][:4] == ["evaluate", "succeeded", "99.27%", "0.0226"]
    assert by_id[zoo["queued"]][:3] == ["train", "queued", "0/3"]
    assert " ".join(by_id[zoo["failed"]][-9:]) == "The volume is full. Free some space on it."
    assert done.stderr == ""


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_the_table_fits_the_terminal(cli: Cli, zoo: dict[str, str], columns: int) -> None:
    terminal = cli.terminal("status", columns=columns)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= columns
    for run_id in zoo.values():
        assert run_id in terminal.text
    assert "The volume is full" in terminal.text
    assert ("gpu-machine-17-b2f0" in terminal.text) == (columns > 60)


def test_the_rest_of_many_runs_is_counted(cli: Cli, submitted: Callable[..., str]) -> None:
    for _ in range(25):
        submitted()
    done = cli("status")
    assert len(done.stdout.splitlines()) == 21
    assert done.stderr == "5 more; see `mnist-client status -n 25`\n"
    assert len(cli("status", "-n", "2").stdout.splitlines()) == 3
    assert cli("status", "-n", "0").returncode == 2


def test_without_a_run_it_says_how_to_make_one(cli: Cli) -> None:
    done = cli("status")
    assert (done.returncode, done.stdout) == (0, "")
    assert "mnist-client submit train" in done.stderr


def test_json_is_the_records_own(cli: Cli, store: RunStore, zoo: dict[str, str]) -> None:
    listed = json.loads(cli("status", "--json").stdout)
    records = [RunRecord.model_validate_json(json.dumps(one)) for one in listed]
    assert records == store.latest(20)
    one = json.loads(cli("--json", "status", zoo["running"]).stdout)
    assert RunRecord.model_validate_json(json.dumps(one)) == store.get(zoo["running"])
    two = json.loads(cli("status", zoo["queued"], zoo["failed"], "--json").stdout)
    assert [record["id"] for record in two] == [zoo["queued"], zoo["failed"]]


def test_json_of_no_runs_is_an_empty_list(cli: Cli) -> None:
    assert json.loads(cli("status", "--json").stdout) == []


def test_details_of_a_running_run(cli: Cli, zoo: dict[str, str]) -> None:
    done = cli("status", zoo["running"])
    text = done.stdout
    assert "running on gpu-machine-17-b2f0" in text
    assert "6 of 15 epochs, batch 404 of 938 (43%), loss 0.2500, 1,097 images/s" in text
    assert "epoch-6.pt (after epoch 6; 14.4 MB)" in text
    assert f"mnist-client follow {zoo['running']}" in done.stderr


def test_details_of_a_queued_run_say_where_it_stands(cli: Cli, zoo: dict[str, str]) -> None:
    done = cli("status", zoo["queued"])
    assert "queued, next in the queue" in done.stdout
    assert "--epochs 3" in done.stdout
    assert "warning: no worker is present" in done.stderr


def test_details_of_an_ended_run_say_what_to_type_next(
    cli: Cli, store: RunStore, zoo: dict[str, str], owned: Callable[..., Owner]
) -> None:
    done = cli("status", zoo["succeeded"])
    assert "accuracy 9915/10000 (99.15%), average loss 0.0211, 15 epochs in 13 min 40 s" in done.stdout
    assert f"mnist-client evaluate {zoo['succeeded']}" in done.stderr
    assert f"mnist-client submit resume {zoo['succeeded']} --epochs 30" in done.stderr

    assert "The volume is full. Free some space on it." in cli("status", zoo["failed"]).stdout

    failed = owned(epochs=3)
    failed.epoch(1)
    failed.fail()
    assert f"mnist-client submit resume {failed.run_id}" in cli("status", failed.run_id).stderr
    child = store.submit(ResumeRequest(parent=failed.run_id, config=TrainConfig(epochs=3))).run_id
    assert f"resume run {failed.run_id}" in cli("status", child).stdout


def test_colours_are_for_terminals_that_want_them(cli: Cli, zoo: dict[str, str]) -> None:
    del cli.environment["NO_COLOR"]
    assert "\x1b" not in cli("status").stdout
    wants = cli.terminal("status")
    assert wants.finish() == 0
    assert "\x1b[32m" in wants.raw
    for arguments, variables in ((("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})):
        plain = cli.terminal(*arguments, "status", **variables)
        assert plain.finish() == 0
        assert "\x1b" not in plain.raw


def test_control_characters_of_a_record_do_not_reach_the_terminal(cli: Cli, owned: Callable[..., Owner]) -> None:
    run_id = owned().fail("bad\x1b[2Jthing\nwith two lines", hint="")
    for arguments in (("status",), ("status", run_id), ("follow", run_id)):
        terminal = cli.terminal(*arguments)
        terminal.finish()
        assert "\x1b[2J" not in terminal.raw
        assert "with two lines" in terminal.text


# ---- workers --------------------------------------------------------------------------------------------------------


def worker(name: str, *, state: str, device: DeviceInfo | None, run: str | None = None) -> WorkerInfo:
    versions = {"mnist-worker": "0.1.0", "torch": "2.14.1", "python": "3.11.7"}
    return WorkerInfo.model_validate(
        {
            "name": name, "host": "machine-1", "pid": 1, "state": state, "device": device, "versions": versions,
            "run": run, "started_at_ms": time.time_ns() // 1_000_000,
        }
    )  # fmt: skip


@pytest.fixture
def crew(client: Redis) -> None:
    registry = WorkerRegistry(client)
    gpu = DeviceInfo(kind="cuda", name="NVIDIA H100 80GB HBM3", memory_bytes=85_000_000_000, num_threads=8)
    registry.announce(worker("worker-1", state="busy", device=gpu, run="0123456789ab"))
    registry.announce(worker("worker-2", state="starting", device=None))


def test_workers_are_listed_with_their_devices(cli: Cli, crew: None) -> None:
    done = cli("workers")
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["WORKER", "STATE", "DEVICE", "GPU", "THREADS", "RUN", "HOST", "VERSIONS", "SEEN"]
    for word in (
        "worker-1",
        "busy",
        "cuda",
        "NVIDIA H100 80GB HBM3, 85.0 GB",
        "0123456789ab",
        "torch 2.14.1",
        "0s ago",
    ):
        assert word in first
    assert "starting" in second


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_the_workers_fit_the_terminal(cli: Cli, crew: None, columns: int) -> None:
    terminal = cli.terminal("workers", columns=columns)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= columns
    assert "busy" in terminal.text


def test_workers_as_json(cli: Cli, crew: None) -> None:
    listed = json.loads(cli("workers", "--json").stdout)
    assert [one["name"] for one in listed] == ["worker-1", "worker-2"]
    assert listed[0]["device"]["memory_bytes"] == 85_000_000_000
    assert "seen_at" in listed[0]


def test_without_workers_it_says_how_to_start_one(cli: Cli) -> None:
    done = cli("workers")
    assert (done.returncode, done.stdout) == (0, "")
    assert "mnist-worker" in done.stderr
    assert json.loads(cli("workers", "--json").stdout) == []
