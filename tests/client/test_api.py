"""`from mnist_client import Client`: what a notebook sees, against a real server."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_client import Client
from mnist_shared.contracts.requests import EvaluateRequest, PredictRequest, TrainRequest
from mnist_shared.contracts.runs import EvaluateResult, RunState, TrainResult
from mnist_shared.errors import DatasetError, InvalidInput, RunCancelled, RunFailed, RunNotFinished, RunNotFound
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore
from tests.client.owner import Owner
from tests.conftest import Server
from tests.processes import eventually


@pytest.fixture
def queue(server: Server, tmp_path: Path) -> Client:
    return Client(broker=server.url, storage=tmp_path / "storage")


@pytest.fixture
def served(server: Server) -> Callable[[type, Callable[[Owner], object]], threading.Thread]:
    """Have the next run of a kind executed by a stand-in, in a thread."""

    def serve(kind: type, work: Callable[[Owner], object]) -> threading.Thread:
        store = RunStore(connect(server.url))

        def waiting() -> str | None:
            found = [one.id for one in store.latest(5) if one.state == "queued" and isinstance(one.request, kind)]
            return found[0] if found else None

        thread = threading.Thread(target=lambda: work(Owner(store, eventually(waiting))))
        thread.start()
        return thread

    return serve


def test_submit_follow_result(queue: Client, store: RunStore, capfd: pytest.CaptureFixture[str]) -> None:
    run = queue.submit_train(epochs=2, seed=7, name="first-try", tags=("notebook",), priority="high")
    record = run.status()
    assert isinstance(record.request, TrainRequest)
    assert (record.request.config.epochs, record.request.config.seed) == (2, 7)
    assert (record.options.name, record.options.tags, record.options.priority) == ("first-try", ("notebook",), "high")
    with pytest.raises(RunNotFinished, match=r"not ended within 0 s; it goes on"):
        run.result(timeout=0)
    Owner(store, run.id).train()
    assert [event.type for event in run.follow() if event.type in ("submitted", "epoch", "finished")] == [
        *("submitted", "epoch", "epoch", "finished")
    ]
    result = run.result()
    assert isinstance(result, TrainResult)
    assert result.test_accuracy == 0.9902
    assert capfd.readouterr() == ("", "")


def test_runs_are_found_as_on_the_command_line(queue: Client, store: RunStore) -> None:
    first, second = queue.submit_train(name="first"), queue.submit_train(tags=("sweep",), after="first")
    assert queue.run("first") == first
    assert queue.run() == second
    assert second.status().waits_for == first.id
    assert queue.runs() == [second, first]
    assert queue.runs(tags=["sweep"], states=["queued"]) == [second]
    with pytest.raises(RunNotFound):
        queue.run("third")
    with pytest.raises(InvalidInput, match="Use queued, running"):
        queue.runs(states=["done"])
    with pytest.raises(InvalidInput, match=r"--epochs"):
        queue.submit_train(epochs=0)


def test_a_run_without_a_result_raises(queue: Client, store: RunStore) -> None:
    failed, cancelled = queue.submit_train(), queue.submit_train()
    Owner(store, failed.id).fail("The volume is full.", hint="Free some space.")
    assert cancelled.cancel() == "cancelled"
    with pytest.raises(RunFailed) as caught:
        failed.result()
    assert (caught.value.run_id, caught.value.kind) == (failed.id, "VolumeError")
    assert str(caught.value) == f"Run {failed.id} failed. The volume is full. Free some space."
    with pytest.raises(RunCancelled, match="was cancelled"):
        cancelled.result()


def test_evaluate_and_predict_wait_for_their_worker(
    queue: Client, store: RunStore, served: Callable[..., threading.Thread]
) -> None:
    run = queue.submit_train(epochs=1)
    with pytest.raises(RunNotFinished):
        run.evaluate()
    Owner(store, run.id).train()
    worker = served(EvaluateRequest, Owner.evaluate)
    evaluation = run.evaluate(checkpoint=1, test_batch_size=500)
    worker.join()
    assert isinstance(evaluation, EvaluateResult)
    assert evaluation.accuracy == 0.9927
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 17], images[1, 4] = 255, 255
    worker = served(PredictRequest, Owner.predict)
    predictions = run.predict(images, timeout=20)
    worker.join()
    assert [one.answer for one in predictions] == ["7", "4"]
    assert predictions[0].probabilities[7] == 0.9
    worker = served(PredictRequest, Owner.predict)
    assert run.predict(Image.fromarray(images[1]), timeout=20)[0].answer == "4"  # as `read_pictures` makes them
    worker.join()
    for wrong in (images.astype(float), images[:, :27], images[0, 0]):
        with pytest.raises(InvalidInput, match="uint8"):
            run.predict(wrong)
    assert {one.state for one in (each.status() for each in queue.runs())} == {RunState.SUCCEEDED}


def test_a_model_file_is_evaluated_and_a_run_by_its_name_too(
    queue: Client, store: RunStore, served: Callable[..., threading.Thread], tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"a network")
    Owner(store, queue.submit_train(epochs=1, name="first").id).train()
    for subject, has_file in ((file, True), (str(file), True), ("first", False)):
        worker = served(EvaluateRequest, Owner.evaluate)
        evaluation = queue.evaluate(subject, dataset="mnist", timeout=20)
        worker.join()
        assert evaluation.accuracy == 0.9927
        assert (evaluation.file is not None) == has_file
    with pytest.raises(InvalidInput, match="holds one network"):
        queue.evaluate(file, checkpoint=3)
    with pytest.raises(InvalidInput, match="does not exist"):
        queue.evaluate(Path("first"))  # a path is no run
    with pytest.raises(RunNotFound):
        queue.evaluate("second")


def test_a_folder_of_ones_own_goes_to_the_volume(queue: Client, tmp_path: Path) -> None:
    (tmp_path / "my digits" / "1").mkdir(parents=True)
    (tmp_path / "my digits" / "1" / "a.png").write_bytes(b"a picture")
    name = queue.submit_train(dataset=str(tmp_path / "my digits")).status().request.config.dataset
    assert name.startswith("own/my-digits-")
    staged = tmp_path / "storage" / "own-datasets" / name.removeprefix("own/")
    assert (staged / "1" / "a.png").read_bytes() == b"a picture"
    assert queue.submit_train(dataset=name).status().request.config.dataset == name
    (tmp_path / "empty").mkdir()
    for wrong, why in (("./nowhere", "does not exist"), (str(tmp_path / "empty"), "no data set in")):
        with pytest.raises(DatasetError, match=why):
            queue.submit_train(dataset=wrong)
    with pytest.raises(InvalidInput, match="--dataset"):
        queue.submit_train(dataset="mnits")
