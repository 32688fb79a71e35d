"""What is done with a trained network: evaluated, asked, exported, verified, by a real worker on the volume."""

import base64
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from redis import Redis

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.config import TrainConfig, make_train_config
from mnist_shared.contracts.reports import REPORT, Normalisation
from mnist_shared.contracts.requests import (
    EvaluateRequest,
    ExportFormat,
    ExportRequest,
    PredictRequest,
    Request,
    ResumeRequest,
    TrainRequest,
    VerifyRequest,
)
from mnist_shared.contracts.runs import RunRecord, RunState
from mnist_shared.storage.runs import RunStore
from mnist_shared.training.data import Dataset, load_dataset
from mnist_shared.training.evaluation import evaluate
from mnist_shared.training.export import export_model
from mnist_shared.training.model import new_network
from mnist_shared.volume.own_datasets import own_dataset_folder, stage_dataset
from mnist_shared.volume.own_models import stage_model
from mnist_shared.volume.run_folder import RunFolder
from tests.conftest import start_server
from tests.processes import TRAINING, Worker, wait_for_state

COMMAND = Path(sys.executable).with_name("mnist-client")
CONFIG = make_train_config(preset="fast", dataset="digits", epochs=3, batch_size=64, keep_last=5)


class Stack:
    """A server, a training worker, and a run that it has trained."""

    def __init__(self, redis: Redis, storage: Path, environment: dict[str, str]) -> None:
        self.store, self.storage, self.environment = RunStore(redis), storage, environment
        self.trained = self.do(TrainRequest(config=CONFIG))

    def do(self, request: Request) -> RunRecord:
        return wait_for_state(self.store, self.store.submit(request).run_id)

    def folder(self, record: RunRecord) -> RunFolder:
        return RunFolder(self.storage / "runs", record.id)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    server = start_server(folder / "server")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_")}
    environment = kept | {
        "MNIST_STORAGE_DIR": str(folder / "storage"),
        "MNIST_BROKER_URL": server.url,
        "MNIST_NUM_THREADS": "1",
    }
    worker = Worker("worker-1", environment=environment, command=TRAINING, folder=folder)
    with Redis(port=server.port, decode_responses=True) as redis:
        worker.wait_until_ready(redis)
        yield Stack(redis, folder / "storage", environment)
    worker.kill()
    server.kill()


def evaluate_file(stack: Stack, file: Path, *, dataset: str | None = None) -> RunRecord:
    config = TrainConfig(dataset=dataset or "mnist")
    staged = stage_model(file, storage_dir=stack.storage)
    return stack.do(EvaluateRequest(file=staged, config=config, as_trained=dataset is None))


def dimmed(folder: Path, stack: Stack) -> Dataset:
    """The digits at half their brightness, as a data set of the user's on the volume."""
    digits = load_dataset("digits", folder=folder)
    folder.mkdir()
    parts = {
        "train-images-idx3": digits.train_images // 2,
        "train-labels-idx1": digits.train_labels,
        "t10k-images-idx3": digits.test_images // 2,
        "t10k-labels-idx1": digits.test_labels,
    }
    for name, tensor in parts.items():
        header = struct.pack(f">{1 + tensor.dim()}I", 0x0800 + tensor.dim(), *tensor.shape)
        (folder / f"{name}-ubyte").write_bytes(header + tensor.to(torch.uint8).numpy().tobytes())
    return load_dataset(stage_dataset(folder, storage_dir=stack.storage), folder=folder, storage_dir=stack.storage)


def predict(stack: Stack, images: np.ndarray) -> RunRecord:
    packed = base64.b64encode(zlib.compress(images.tobytes())).decode()
    return stack.do(PredictRequest(target=stack.trained.id, config=CONFIG, num_pictures=len(images), packed=packed))


def test_an_evaluation_writes_its_report_and_says_the_same_in_its_result(stack: Stack) -> None:
    record = stack.do(EvaluateRequest(target=stack.trained.id, config=CONFIG))
    folder = stack.folder(record).evaluation
    names = {"report.json", "report.html", "confusion.png", "mistakes.png", "calibration.png"}
    assert {file.name for file in folder.iterdir()} == names
    report = read_document(REPORT, (folder / "report.json").read_bytes(), what="the report")
    assert record.result.report == report
    assert (report.correct, report.total) == (record.result.correct, 360)
    assert report.correct == stack.trained.result.test_correct
    assert report.average_loss == pytest.approx(record.result.average_loss, rel=1e-5)


def test_a_checkpoint_of_an_earlier_epoch_can_be_evaluated(stack: Stack) -> None:
    record = stack.do(EvaluateRequest(target=stack.trained.id, config=CONFIG, checkpoint=2))
    assert record.result.checkpoint.epoch == 2
    missing = stack.do(EvaluateRequest(target=stack.trained.id, config=CONFIG, checkpoint=9))
    assert (missing.state, missing.error.kind) == (RunState.FAILED, "CheckpointError")


def test_pictures_get_the_answers_that_the_evaluation_counts(stack: Stack) -> None:
    data = load_dataset("digits", folder=stack.storage)
    record = predict(stack, data.test_images.numpy())
    answers = [int(one.answer) for one in record.result.predictions]
    assert sum(a == b for a, b in zip(answers, data.test_labels.tolist(), strict=True)) == (
        stack.trained.result.test_correct
    )
    assert sum(record.result.predictions[0].probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("num", "packed"),
    [
        (1, "not base64!"),
        (1, base64.b64encode(b"not zlib").decode()),
        (2, base64.b64encode(zlib.compress(bytes(784))).decode()),
        (1, base64.b64encode(zlib.compress(bytes(50_000_000))).decode()),  # a bomb
    ],
)
def test_pictures_that_are_none_are_an_error_of_that_run_alone(stack: Stack, num: int, packed: str) -> None:
    record = stack.do(PredictRequest(target=stack.trained.id, config=CONFIG, num_pictures=num, packed=packed))
    assert (record.state, record.error.kind) == (RunState.FAILED, "InvalidInput")


def test_an_export_lies_on_the_volume_with_a_model_card(stack: Stack) -> None:
    record = stack.do(ExportRequest(target=stack.trained.id, config=CONFIG, file_format="safetensors"))
    folder = stack.folder(record).export
    content = (folder / record.result.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == record.result.sha256
    assert record.result.max_difference <= 1e-5
    card = (folder / record.result.card).read_text()
    for words in (stack.trained.id, stack.trained.result.weights_sha256, "| `preset` | fast |", "digits"):
        assert words in card


@pytest.mark.parametrize("file_format", ["safetensors", "onnx", "torchscript"])
def test_an_exported_file_is_evaluated_as_its_run_is(stack: Stack, tmp_path: Path, file_format: ExportFormat) -> None:
    if file_format == "onnx":
        pytest.importorskip("onnxscript")
    exported = stack.do(ExportRequest(target=stack.trained.id, config=CONFIG, file_format=file_format))
    record = evaluate_file(stack, stack.folder(exported).export / exported.result.file)
    assert record.state is RunState.SUCCEEDED, record.error
    of_run = stack.do(EvaluateRequest(target=stack.trained.id, config=CONFIG)).result
    assert record.result.report.confusion == of_run.report.confusion
    assert record.result.average_loss == pytest.approx(of_run.average_loss, rel=1e-5)
    assert (record.result.file.file_format, record.result.file.run) == (file_format, stack.trained.id)
    page = (stack.folder(record).evaluation / "report.html").read_text()
    assert f"Evaluation of {record.request.file.name}" in page
    assert f"evaluating {record.request.file.name} on digits" in stack.folder(record).log_file.read_text()


def test_a_checkpoint_that_was_pulled_and_a_runs_model_are_evaluated_too(stack: Stack) -> None:
    ref, of_run = stack.trained.checkpoint, stack.trained.result
    pulled = evaluate_file(stack, stack.folder(stack.trained).checkpoints / ref.file)
    model = evaluate_file(stack, stack.folder(stack.trained).model, dataset="digits")
    for record, file_format, epoch in ((pulled, "checkpoint", 3), (model, "weights", None)):
        assert record.state is RunState.SUCCEEDED, record.error
        assert (record.result.correct, record.result.average_loss) == (of_run.test_correct, of_run.test_loss)
        assert (record.result.file.file_format, record.result.file.network) == (file_format, "compact")
        assert (record.result.file.epoch, record.result.target) == (epoch, None)
    silent = evaluate_file(stack, stack.folder(stack.trained).model)
    assert (silent.state, silent.error.kind) == (RunState.FAILED, "InvalidInput")
    assert "does not say which data set" in silent.error.message


def test_on_another_data_set_a_network_keeps_the_normalisation_it_was_trained_with(
    stack: Stack, tmp_path: Path
) -> None:
    dim = dimmed(tmp_path / "dim", stack)
    config = CONFIG.model_copy(update={"dataset": dim.name})
    weights, checkpoint = stack.folder(stack.trained).model, stack.folder(stack.trained).checkpoints
    network = new_network(CONFIG)
    network.load_state_dict(torch.load(weights, weights_only=True))

    def losses(normalisation: Normalisation) -> object:
        found = evaluate(
            network, dim.test_images, dim.test_labels, mean=normalisation.mean, std=normalisation.std, batch_size=1000,
            device=torch.device("cpu"),
        )  # fmt: skip
        return pytest.approx(found.average_loss, rel=1e-5)

    digits = load_dataset("digits", folder=tmp_path).normalisation
    own, foreign = losses(digits), losses(dim.normalisation)
    exported = stack.do(ExportRequest(target=stack.trained.id, config=CONFIG, file_format="safetensors"))
    of_run = stack.do(EvaluateRequest(target=stack.trained.id, config=config))
    pulled = evaluate_file(stack, checkpoint / stack.trained.checkpoint.file, dataset=dim.name)
    export = evaluate_file(stack, stack.folder(exported).export / exported.result.file, dataset=dim.name)
    for record in (of_run, pulled, export):
        assert record.result.average_loss == own
        assert record.result.report.normalisation == digits
        page = (stack.folder(record).evaluation / "report.html").read_text()
        assert "digits: (pixel / 255 - 0.3056) / 0.3249" in page
    silent = evaluate_file(stack, weights, dataset=dim.name)  # weights alone do not say what they were trained on
    assert silent.result.average_loss == foreign
    assert silent.result.average_loss != own
    assert silent.result.report.normalisation == dim.normalisation


def test_a_network_of_a_users_own_pictures_takes_their_normalisation_elsewhere(stack: Stack, tmp_path: Path) -> None:
    dim = dimmed(tmp_path / "dim", stack)
    trained = stack.do(TrainRequest(config=CONFIG.model_copy(update={"dataset": dim.name, "epochs": 1})))
    shutil.rmtree(own_dataset_folder(stack.storage, dim.name))  # its checkpoint has the figures
    record = stack.do(EvaluateRequest(target=trained.id, config=CONFIG))
    assert record.state is RunState.SUCCEEDED, record.error
    assert (record.result.report.dataset, record.result.report.normalisation) == ("digits", dim.normalisation)


def test_a_program_from_elsewhere_is_not_run(stack: Stack, tmp_path: Path) -> None:
    network = new_network(CONFIG)
    foreign = tmp_path / "model.torchscript"
    foreign.write_bytes(export_model(network, file_format="torchscript", metadata={"dataset": "digits"}))
    record = evaluate_file(stack, foreign)
    assert (record.state, record.error.kind) == (RunState.FAILED, "InvalidInput")
    assert "safetensors or ONNX" in record.error.hint


def test_the_command_evaluates_a_file_with_its_gate_and_its_report(stack: Stack, tmp_path: Path) -> None:
    exported = stack.do(ExportRequest(target=stack.trained.id, config=CONFIG, file_format="safetensors"))
    source = stack.folder(exported).export / exported.result.file
    for gate, code in (("1", 0), ("100", 104)):
        done = subprocess.run(
            [str(COMMAND), "evaluate", str(source), "--min-accuracy", gate, "--output", str(tmp_path / gate)],
            env=stack.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        assert done.stdout.startswith(f"accuracy {stack.trained.result.test_correct}/360")
        assert "safetensors, " in done.stderr
        report = read_document(REPORT, (tmp_path / gate / "report.json").read_bytes(), what="the report")
        assert report.dataset == "digits"


def test_a_run_trained_again_has_the_same_weights(stack: Stack) -> None:
    record = stack.do(VerifyRequest(target=stack.trained.id, config=CONFIG))
    assert record.result.identical
    assert record.result.first_difference == ""
    assert record.result.weights_sha256 == stack.trained.result.weights_sha256
    assert record.result.environment == ()


def test_a_resumed_run_is_verified_from_its_parents_checkpoint(stack: Stack) -> None:
    config = CONFIG.model_copy(update={"epochs": 4})
    child = stack.do(ResumeRequest(parent=stack.trained.id, config=config))
    record = stack.do(VerifyRequest(target=child.id, config=config, parent=stack.trained.id))
    assert record.result.identical


def test_a_run_that_was_tampered_with_is_found_out_at_its_first_difference(stack: Stack) -> None:
    other = CONFIG.model_copy(update={"seed": 99})
    record = stack.do(VerifyRequest(target=stack.trained.id, config=other))
    assert not record.result.identical
    assert record.result.first_difference.startswith("epoch 1: train_loss was")


def test_a_training_run_leaves_its_curves_and_pictures_for_tensorboard(stack: Stack) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(stack.folder(stack.trained).tensorboard))
    reader.Reload()
    assert [event.step for event in reader.Scalars("accuracy/test")] == [1, 2, 3]
    assert set(reader.Tags()["images"]) == {"evaluation/confusion", "evaluation/mistakes"}


def test_a_users_own_pictures_are_trained_on_and_evaluated(stack: Stack, tmp_path: Path) -> None:
    from PIL import Image

    digits = load_dataset("digits", folder=tmp_path)
    for index in range(200):
        label = int(digits.train_labels[index])
        if label < 3:
            folder = tmp_path / "pets" / ("cat", "dog", "fox")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.train_images[index].numpy()).save(folder / f"{index:03}.png")
    name = stage_dataset(tmp_path / "pets", storage_dir=stack.storage)
    config = TrainConfig.model_validate(CONFIG.model_dump() | {"dataset": name, "batch_size": 8, "epochs": 4})
    record = stack.do(TrainRequest(config=config))
    assert record.state is RunState.SUCCEEDED, record.error
    report = stack.do(EvaluateRequest(target=record.id, config=config)).result.report
    assert report.classes[:3] == ("cat", "dog", "fox")
    assert report.accuracy > 0.6
