"""The main job as a user does it: the real command, a real worker, real training on the digits that need no network."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mnist_shared.contracts.runs import RunRecord
from tests.conftest import Server
from tests.processes import TRAINING, Worker, eventually

COMMAND = Path(sys.executable).with_name("mnist-client")
Client = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """A server and one training worker for the tests of this module."""
    from redis import Redis

    from tests.conftest import start_server

    folder = tmp_path_factory.mktemp("stack")
    server: Server = start_server(folder / "server")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_")}
    environment = kept | {
        "MNIST_STORAGE_DIR": str(folder / "storage"),
        "MNIST_DATA_DIR": str(folder / "datasets"),
        "MNIST_BROKER_URL": server.url,
        "MNIST_NUM_THREADS": "1",
        "NO_COLOR": "1",
    }
    (folder / "datasets").mkdir()
    if data_dir := os.environ.get("MNIST_DATA_DIR"):
        (folder / "datasets" / "MNIST").symlink_to(Path(data_dir, "MNIST").absolute())
    worker = Worker("worker-1", environment=environment, command=TRAINING, folder=folder)
    with Redis(port=server.port, decode_responses=True) as client:
        worker.wait_until_ready(client)
    yield environment, folder / "storage"
    worker.kill()
    server.kill()


@pytest.fixture
def client(stack: tuple[dict[str, str], Path]) -> Client:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=stack[0],
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )

    return call


@pytest.fixture
def storage(stack: tuple[dict[str, str], Path]) -> Path:
    return stack[1]


def record_of(client: Client, run_id: str) -> RunRecord:
    return RunRecord.model_validate_json(client("status", run_id, "--json").stdout)


def test_train_follow_evaluate_resume(client: Client, storage: Path) -> None:
    trained = client("submit", "train", "--dataset", "digits", "--epochs", "2", "--follow")
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.strip()
    assert [line for line in trained.stderr.splitlines() if line.startswith("epoch ")][1].startswith("epoch 2/2")

    evaluated = client("evaluate", run_id)
    assert evaluated.returncode == 0, evaluated.stderr
    result = record_of(client, run_id).result
    assert result
    assert result.kind == "train"
    assert f"accuracy {result.test_correct}/{result.test_total} (" in evaluated.stdout
    assert result.test_accuracy > 0.9

    gated = client("evaluate", run_id, "--min-accuracy", "100")
    assert gated.returncode == 104

    resumed = client("submit", "resume", run_id, "--epochs", "3", "--wait")
    assert resumed.returncode == 0, resumed.stderr
    child = record_of(client, resumed.stdout.strip())
    assert child.request.kind == "resume"
    assert child.request.parent == run_id
    assert child.progress
    assert (child.progress.epoch, child.progress.epochs) == (3, 3)
    refused = client("submit", "resume", run_id, "--epochs", "2")
    assert refused.returncode == 2
    assert "--epochs" in refused.stderr

    weights = torch.load(storage / "runs" / run_id / "mnist_cnn.pt", weights_only=True)
    assert list(weights) == [
        f"{layer}.{part}" for layer in ("conv1", "conv2", "fc1", "fc2") for part in ("weight", "bias")
    ]
    lines = (storage / "runs" / run_id / "events.jsonl").read_text().splitlines()
    told = [json.loads(line)["event"]["type"] for line in lines]
    assert (told[0], told[-1], told.count("epoch")) == ("submitted", "finished", 2)


def test_a_run_trained_in_one_go_and_one_resumed_half_way_have_the_same_weights(client: Client) -> None:
    options = ("--dataset", "digits", "--seed", "3", "--wait")
    whole = client("submit", "train", "--epochs", "3", *options).stdout.strip()
    half = client("submit", "train", "--epochs", "1", *options).stdout.strip()
    rest = client("submit", "resume", half, "--epochs", "3", "--wait").stdout.strip()
    first, second = record_of(client, whole).result, record_of(client, rest).result
    assert first
    assert second
    assert first.kind == second.kind == "train"
    assert first.weights_sha256 == second.weights_sha256


def test_a_dry_run_trains_one_batch_and_saves_nothing(client: Client, storage: Path) -> None:
    done = client("submit", "train", "--dataset", "digits", "--dry-run", "--wait")
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert not (storage / "runs" / run_id / "checkpoints").exists()
    assert client("evaluate", run_id).returncode == 2


def test_a_cancelled_run_leaves_a_checkpoint_to_resume_from(client: Client) -> None:
    run_id = client("submit", "train", "--dataset", "digits", "--epochs", "500").stdout.strip()
    eventually(lambda: record_of(client, run_id).progress or None, what="a first batch")
    assert client("cancel", run_id).returncode == 0
    waited = client("wait", run_id)
    assert waited.returncode == 103
    record = record_of(client, run_id)
    assert record.checkpoint
    shorter = str(record.checkpoint.epoch + 1)
    assert client("submit", "resume", run_id, "--epochs", shorter, "--wait").returncode == 0


def test_damaged_data_fails_the_run_with_the_file_and_the_way_out(client: Client, storage: Path) -> None:
    raw = storage.parent / "datasets" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").write_bytes(b"\0\0\x08\x03garbage")
    done = client("submit", "train", "--dataset", "fashion-mnist", "--epochs", "1", "--wait")
    assert done.returncode == 100
    error = record_of(client, done.stdout.strip()).error
    assert error
    assert error.kind == "DatasetError"
    assert "ubyte" in error.message


@pytest.mark.skipif("MNIST_DATA_DIR" not in os.environ, reason="needs the real MNIST in MNIST_DATA_DIR")
def test_one_epoch_on_the_real_mnist(client: Client) -> None:
    done = client("submit", "train", "--epochs", "1", "--batch-size", "256", "--wait")
    assert done.returncode == 0, done.stderr
    result = record_of(client, done.stdout.strip()).result
    assert result
    assert result.kind == "train"
    assert result.test_total == 10_000
    assert result.test_accuracy > 0.96
