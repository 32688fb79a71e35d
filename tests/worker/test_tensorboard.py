"""A run's curves, read back with TensorBoard's own reader."""

from pathlib import Path

import numpy as np
import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, TrainingStarted
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.training.data import load_dataset
from mnist_worker.tensorboard import CurveWriter, confusion_tiles, mistake_tiles

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def started(epoch: int) -> TrainingStarted:
    return TrainingStarted(
        dataset="digits", num_images=1437, device="cpu", num_threads=1, epoch=epoch, epochs=5, batch=0, num_batches=23
    )


def finished(epoch: int, accuracy: float) -> EpochFinished:
    metrics = EpochMetrics(
        epoch=epoch,
        train_loss=1 / epoch,
        test_loss=0.1,
        test_correct=1,
        test_total=2,
        test_accuracy=accuracy,
        lr=0.001,
        seconds=1.0,
        images_per_second=1000.0,
    )
    return EpochFinished(epochs=5, metrics=metrics)


def attempt(folder: Path, number: int, *, start: int, accuracies: list[float], is_killed: bool = False) -> CurveWriter:
    writer = CurveWriter(folder, config=TrainConfig(lr=0.002), attempt=number)
    writer.note(started(start))
    for epoch, accuracy in enumerate(accuracies, 1):
        writer.note(finished(epoch, accuracy))
    if not is_killed:
        writer.close()
    return writer


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return [(event.step, round(event.value, 4)) for event in reader.Scalars(tag)]


def test_a_curve_continues_across_a_recovery_without_doubled_or_hidden_points(tmp_path):
    attempt(tmp_path, 1, start=0, accuracies=[0.5, 0.6, 0.7], is_killed=True)
    attempt(tmp_path, 2, start=2, accuracies=[0.5, 0.6, 0.71, 0.8])
    assert points(tmp_path, "accuracy/test") == [(1, 0.5), (2, 0.6), (3, 0.71), (4, 0.8)]
    assert points(tmp_path, "loss/train") == [(1, 1.0), (2, 0.5), (3, 0.3333), (4, 0.25)]


def test_each_epoch_is_readable_as_soon_as_it_is_told(tmp_path):
    attempt(tmp_path, 1, start=0, accuracies=[0.5], is_killed=True)
    for tag, value in (("training/learning_rate", 0.001), ("training/images_per_second", 1000.0), ("loss/test", 0.1)):
        assert points(tmp_path, tag) == [(1, value)]


def test_the_configuration_is_there_as_hyper_parameters(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    attempt(tmp_path, 1, start=0, accuracies=[0.5])
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    content = reader.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    assert data.session_start_info.hparams["lr"].number_value == 0.002
    assert data.session_start_info.hparams["dataset"].string_value == "mnist"


def test_confusion_matrix_and_mistakes_are_there_as_images(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    writer = attempt(tmp_path, 1, start=0, accuracies=[0.5], is_killed=True)
    data = load_dataset("digits", folder=tmp_path)
    writer.finish(np.log(np.full((len(data.test_labels), 10), 0.1, dtype=np.float32)), data)
    writer.close()
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    assert set(reader.Tags()["images"]) == {"evaluation/confusion", "evaluation/mistakes"}


def test_a_folder_that_cannot_be_written_costs_the_curves_and_not_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    attempt(tmp_path / "file", 1, start=0, accuracies=[0.5, 0.6])
    assert sum("no more curves" in record.message for record in caplog.records) == 1


def test_the_confusion_matrix_is_darkest_where_most_answers_lie():
    answers = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]], dtype=np.float32))
    tiles = confusion_tiles(answers, np.array([0, 0, 1, 1]))
    corner = {(row, column): int(tiles[row * 24, column * 24]) for row in (0, 1) for column in (0, 1)}
    assert corner[0, 0] == 0  # all of label 0
    assert corner[0, 1] == 255  # none
    assert corner[1, 0] == corner[1, 1] == round(255 * (1 - 0.5**0.5))


def test_the_worst_mistake_comes_first():
    answers = np.log(np.array([[0.9, 0.1], [0.99, 0.01], [0.2, 0.8]], dtype=np.float32))
    images = np.stack([np.full((28, 28), grey, dtype=np.uint8) for grey in (50, 100, 150)])
    tiles = mistake_tiles(answers, np.array([1, 1, 1]), images)
    assert [int(tiles[10, 10]), int(tiles[10, 70]), int(tiles[10, 130])] == [100, 50, 0]
