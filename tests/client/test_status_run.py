"""`status RUN`: one run in detail."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.contracts.events import EnvironmentRecorded, TrainingStarted
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import CheckpointRef, SubmitOptions
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from mnist_shared.volume.run_folder import RunFolder
from tests.client.conftest import Cli
from tests.client.owner import NUM_BATCHES, Owner
from tests.client.zoo import Zoo, announce

VERSIONS = {"mnist-shared": "0.1.0", "mnist-worker": "0.1.0", "torch": "2.14.1", "python": "3.11.7"}


@pytest.fixture
def zoo(client: Redis) -> Zoo:
    return Zoo(client)


def section(text: str, title: str) -> list[str]:
    """The lines under a title, up to the next empty one."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    return [line.strip() for line in "\n".join(lines[start + 1 :]).split("\n\n")[0].splitlines()]


def labelled(text: str) -> dict[str, str]:
    """Label and text of the first lines."""
    lines = text.split("\n\n")[0].splitlines()
    return {line[:15].strip(): line[15:] for line in lines if line[:15].strip()}


def test_a_running_run_says_how_far_it_is_and_when_it_ends(cli: Cli, client: Redis, zoo: Zoo) -> None:
    announce(client, "gpu-machine-17-b2f0", run=zoo.ids["eager-lynx"])
    done = cli("status", "eager-lynx")
    said = labelled(done.stdout)
    assert said["run"] == f"eager-lynx ({zoo.ids['eager-lynx']})"
    assert said["state"].startswith("running on gpu-machine-17-b2f0, ends in about 7m49s (")
    assert said["progress"] == "6 of 15 epochs, batch 404 of 938 (43%), loss 0.2500, 1,097 images/s"
    assert said["loss"] == "▅▄▃▃▂▂ 0.2100 to 0.0290"
    assert said["best"] == "99.08% after epoch 6"
    assert said["configuration"] == "all defaults"
    assert section(done.stdout, "checkpoints (the volume is not to be seen from here")[1].split()[:3] == [
        "epoch-6.pt", "epoch", "6",
    ]  # fmt: skip
    assert done.stderr.splitlines()[0] == f"  mnist-client follow {zoo.ids['eager-lynx']}"


def test_an_ended_run_says_what_it_takes_to_do_it_again(cli: Cli, store: RunStore) -> None:
    config = PRESETS["fast"].model_copy(update={"epochs": 3, "seed": 7})
    options = SubmitOptions(name="sweep-7", tags=("sweep",), priority="high", retries=2)
    run_id = store.submit(TrainRequest(config=config), options=options).run_id
    owner = Owner(store, run_id)
    owner.tell(EnvironmentRecorded(device="cuda", device_name="NVIDIA H100", num_threads=8, versions=VERSIONS))
    owner.tell(
        TrainingStarted(
            dataset="mnist", num_images=60_000, device="cuda", num_threads=8, epoch=0, epochs=3, batch=0,
            num_batches=NUM_BATCHES, dataset_sha256="d" * 64,
        )
    )  # fmt: skip
    for epoch in (1, 2, 3):
        owner.epoch(epoch)
    owner.succeed()
    done = cli("status", run_id)
    said = labelled(done.stdout)
    assert (said["tags"], said["priority"], said["retries"]) == ("sweep", "high", "2")
    assert said["configuration"] == "--preset fast --epochs 3 --seed 7 (the rest: defaults)"
    assert said["of the preset"].startswith("--network compact ")
    assert " --drop-last " in said["of the preset"]
    assert said["result"] == "accuracy 9903/10000 (99.03%), average loss 0.0211, 3 epochs in 13 min 40 s"
    record = dict(line.split(maxsplit=1) for line in section(done.stdout, "reproducibility"))
    assert record == {
        "code": "mnist-shared 0.1.0, mnist-worker 0.1.0",
        "libraries": "python 3.11.7, torch 2.14.1",
        "device": "cuda (NVIDIA H100), 8 threads",
        "data": f"mnist, SHA-256 {'d' * 64}",
        "seed": "7",
        "weights": f"SHA-256 {'b' * 64}",
    }
    assert done.stderr.splitlines() == [
        f"  mnist-client evaluate {run_id}",
        f"  mnist-client resume {run_id} --epochs 6",
    ]


def test_each_attempt_is_told_with_its_end(cli: Cli, client: Redis, submitted: Callable[..., str]) -> None:
    store = RunStore(client, lease_seconds=1)
    run_id = submitted(epochs=3)
    first = Owner(store, run_id)
    first.start()
    first.epoch(1)
    store.redis.zadd(store.keys.leases, {run_id: 1})
    while not store.reap():
        pass
    second = Owner(store, run_id, worker="worker-2")
    second.start(epoch=1)
    store.release(second.grant)
    third = Owner(store, run_id, worker="worker-3")
    third.start(epoch=1)
    third.fail()
    rows = section(cli("status", run_id).stdout, "attempts")
    assert [row.split()[1] for row in rows[1:]] == ["worker-1", "worker-2", "worker-3"]
    assert "lost         the end of epoch 1" in rows[1]
    assert "the end of epoch 1  handed back  the end of epoch 1" in rows[2]
    assert rows[3].endswith("failed       the end of epoch 1  The volume is full.")


def test_what_came_of_a_run_is_drawn_as_a_tree(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    root = owned(epochs=2).train()
    checkpoint = store.get(root).checkpoint
    assert checkpoint is not None
    resumed = store.submit(ResumeRequest(parent=root, config=TrainConfig(epochs=4))).run_id
    evaluated = store.submit(EvaluateRequest(target=resumed, config=TrainConfig())).run_id
    again = store.submit(TrainRequest(config=TrainConfig(epochs=2)), options=SubmitOptions(retry_of=root)).run_id
    names = {run_id: store.get(run_id).options.name for run_id in (root, resumed, evaluated, again)}
    lines = cli("status", evaluated).stdout.split("lineage\n")[1].splitlines()
    assert lines == [
        f"  {root}  {names[root]}  train, 2 epochs: succeeded, 99.02%",
        f"  ├─ {resumed}  {names[resumed]}  resume to 4 epochs: queued",
        f"  │  └─ {evaluated}  {names[evaluated]}  evaluate: queued  <- this run",
        f"  └─ {again}  {names[again]}  retry, 2 epochs: queued",
    ]
    plain = cli("status", again, PYTHONIOENCODING="ascii").stdout.split("lineage\n")[1].splitlines()
    assert [line[:5] for line in plain[1:]] == ["  |- ", "  |  ", "  `- "]
    assert plain[2].startswith("  |  `- ")
    assert plain[3].endswith("<- this run")


def test_a_parent_that_was_forgotten_is_named(cli: Cli, client: Redis, owned: Callable[..., Owner]) -> None:
    store = RunStore(client)
    root = owned(epochs=2).train()
    child = store.submit(ResumeRequest(parent=root, config=TrainConfig(epochs=4))).run_id
    client.delete(store.keys.run(root))
    assert f"  {root}  not known any more\n  └─ {child}" in cli("status", child).stdout


def test_checkpoints_are_read_from_the_volume_where_it_is_shared(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=4)
    owner.start()
    owner.epoch(1)
    folder = RunFolder(Path(cli.environment["MNIST_STORAGE_DIR"]) / "runs", owner.run_id).checkpoints
    folder.mkdir(parents=True)
    for epoch, batch in ((1, 0), (1, 120)):
        name = f"epoch-{epoch:04d}-batch-{batch:05d}-a0001"
        ref = CheckpointRef(file=f"{name}.pt", epoch=epoch, batch=batch, attempt=1, num_bytes=450_000, sha256="c" * 64)
        (folder / f"{name}.json").write_text(ref.model_dump_json())
    header, *rows = section(cli("status", "last").stdout, "checkpoints")
    assert header.split() == ["FILE", "AFTER", "ATTEMPT", "SIZE", "SHA-256"]
    assert [row.split()[0] for row in rows] == ["epoch-0001-batch-00120-a0001.pt", "epoch-0001-batch-00000-a0001.pt"]
    assert "epoch 1, batch 120" in rows[0]
    assert "450.0 kB" in rows[0]


def test_the_last_ten_epochs_are_shown_or_all(cli: Cli, zoo: Zoo) -> None:
    done = cli("status", "brisk-otter")
    rows = section(done.stdout, "epochs (the last 10 of 15: --epochs shows all)")
    assert [row.split()[0] for row in rows] == ["EPOCH", *map(str, range(6, 16))]
    assert len(section(cli("status", "brisk-otter", "--epochs").stdout, "epochs")) == 16


def test_a_queued_run_says_for_what_it_waits(cli: Cli, client: Redis, zoo: Zoo) -> None:
    announce(client, "worker-1", run=zoo.ids["eager-lynx"])
    state = labelled(cli("status", "ideal-wren").stdout)["state"]
    other = zoo.ids["eager-lynx"]
    assert state.startswith(
        f"queued, waits for eager-lynx ({other}), which is running 6/15 43%, starts in about 10m33s"
    )
    state = labelled(cli("status", "happy-toad").stdout)["state"]
    assert state.startswith("queued, next in the queue, starts in about 7m49s (")
    assert ", ends in about 10m33s (" in state


def test_a_run_that_will_not_start_by_itself_says_why(cli: Cli, client: Redis, submitted: Callable[..., str]) -> None:
    submitted(epochs=3)
    done = cli("status", "last")
    assert "queued, next in the queue" in done.stdout
    assert "warning: no worker is present: runs wait until one starts." in done.stderr
    announce(client, "worker-1", state="drained")
    assert (
        "every worker is drained: none takes a run until `mnist-client workers undrain worker-1`"
        in cli("status", "last").stderr
    )
    Queue(client).pause()
    assert "nothing starts until `mnist-client queue resume`" in cli("status", "last").stderr


def test_json_of_one_run_is_its_record(cli: Cli, zoo: Zoo) -> None:
    assert json.loads(cli("status", "calm-hare", "--json").stdout)["error"]["message"] == "The volume is full."


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_the_details_fit_the_terminal(cli: Cli, zoo: Zoo, columns: int) -> None:
    terminal = cli.terminal("status", "dusty-crow", columns=columns)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= columns
    assert "could not be downloaded" in " ".join(terminal.text.split())


def test_a_worker_that_vanished_is_named_where_none_is_left(
    cli: Cli, client: Redis, submitted: Callable[..., str]
) -> None:
    submitted(epochs=3)
    announce(client, "worker-7")
    registry = WorkerRegistry(client)
    seen = client.zscore(registry.keys.workers, "worker-7")
    assert isinstance(seen, float)
    client.zadd(registry.keys.workers, {"worker-7": seen - 40_000})
    said = cli("status", "last").stderr
    assert "no worker is present" in said
    assert "worker-7 vanished 4" in said
    assert "See `mnist-client workers`." in said
