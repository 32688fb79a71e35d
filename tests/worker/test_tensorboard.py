"""A run's curves, read back with TensorBoard's own reader."""

import io
import os
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, TrainingStarted
from mnist_shared.contracts.runs import EpochMetrics
from mnist_shared.reports.pictures import confusion_png, mistakes_png
from mnist_shared.training.data import load_dataset
from mnist_worker.on_target import report_of
from mnist_worker.tensorboard import CurveWriter

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOW = 1_700_000_000.0


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
        seconds=10.0,
        images_per_second=1000.0,
    )
    return EpochFinished(epochs=5, metrics=metrics)


def links_of(folder: Path) -> Path:
    """`<volume>/tensorboard`, for `<volume>/runs/<id>/tensorboard`."""
    return folder.parents[2] / "tensorboard"


def curves(folder: Path, number: int = 1, *, title: str = "brisk-otter-1f36d9", **config: object) -> CurveWriter:
    return CurveWriter(
        folder,
        config=TrainConfig.model_validate({"lr": 0.002, **config}),
        attempt=number,
        title=title,
        links=links_of(folder),
        clock=lambda: NOW,
    )


def attempt(folder: Path, number: int, *, start: int, accuracies: list[float], is_killed: bool = False) -> CurveWriter:
    writer = curves(folder, number)
    writer.note(started(start))
    for epoch, accuracy in enumerate(accuracies, 1):
        writer.note(finished(epoch, accuracy))
    if not is_killed:
        writer.close()
    return writer


def read_back(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 4)) for event in read_back(folder).Scalars(tag)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's curves, on a volume of their own."""
    return tmp_path / "runs" / "1f36d9ea28e9" / "tensorboard"


def test_a_curve_continues_across_a_recovery_without_doubled_or_hidden_points(folder):
    attempt(folder, 1, start=0, accuracies=[0.5, 0.6, 0.7], is_killed=True)
    attempt(folder, 2, start=2, accuracies=[0.5, 0.6, 0.71, 0.8])
    assert points(folder, "accuracy/test") == [(1, 0.5), (2, 0.6), (3, 0.71), (4, 0.8)]
    assert points(folder, "loss/train") == [(1, 1.0), (2, 0.5), (3, 0.3333), (4, 0.25)]


def test_a_tensorboard_that_has_read_the_lost_attempt_goes_on_with_the_next(folder):
    attempt(folder, 1, start=0, accuracies=[0.5, 0.6, 0.7], is_killed=True)
    [lost] = folder.iterdir()
    lost = lost.rename(folder / re.sub(r"tfevents\.\d+", "tfevents.1700000000", lost.name))  # it began a while ago
    reader = read_back(folder)
    attempt(folder, 2, start=2, accuracies=[0.5, 0.6, 0.71, 0.8])
    reader.Reload()
    assert [event.step for event in reader.Scalars("accuracy/test")] == [1, 2, 3, 4]
    assert [round(event.value, 2) for event in reader.Scalars("accuracy/test")] == [0.5, 0.6, 0.71, 0.8]
    assert lost.stat().st_size == 0


def test_a_worker_that_comes_back_from_the_dead_adds_nothing(folder):
    frozen = attempt(folder, 1, start=0, accuracies=[0.5, 0.6], is_killed=True)
    attempt(folder, 2, start=1, accuracies=[0.5, 0.6, 0.7])
    frozen.note(finished(3, 0.1))
    frozen.close()
    assert points(folder, "accuracy/test") == [(1, 0.5), (2, 0.6), (3, 0.7)]


def test_each_epoch_is_readable_as_soon_as_it_is_told(folder):
    attempt(folder, 1, start=0, accuracies=[0.5], is_killed=True)
    for tag, value in (("training/learning_rate", 0.001), ("training/images_per_second", 1000.0), ("loss/test", 0.1)):
        assert points(folder, tag) == [(1, value)]


def test_epochs_of_earlier_attempts_keep_their_distance_in_time(folder):
    attempt(folder, 2, start=2, accuracies=[0.5, 0.6, 0.7])
    times = [event.wall_time - NOW for event in read_back(folder).Scalars("accuracy/test")]
    assert times == [-10, 0, 0]  # the clock stands still: the third was trained, the first two are told again


def test_a_resumed_run_goes_on_at_the_next_step(folder):
    writer = curves(folder)
    writer.note(started(4))  # all of them the parent's: none is told again
    writer.note(finished(5, 0.9))
    writer.close()
    assert points(folder, "accuracy/test") == [(5, 0.9)]


def columns(volume: Path) -> dict[str, bool]:
    """The columns of TensorBoard's HParams over all runs, and whether runs differ in them."""
    from types import SimpleNamespace

    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.hparams.backend_context import Context

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(volume))
    multiplexer.Reload()
    asked = RequestContext()
    context = Context(SimpleNamespace(data_provider=MultiplexerDataProvider(multiplexer, str(volume))))
    found = context.experiment_from_metadata(asked, "", True, context.hparams_metadata(asked, ""), [])
    return {info.name: info.differs for info in found.hparam_infos}


def test_hyper_parameters_in_which_runs_differ_come_first_and_bookkeeping_is_left_out(folder):
    for number, lr in enumerate((0.001, 0.002)):
        with curves(folder / f"run-{number}", lr=lr, title=f"run-{number}", keep_last=2 + number) as writer:
            writer.note(started(0))
            writer.note(finished(1, 0.5))
    found = columns(folder)
    assert [name for name, differs in found.items() if differs] == ["lr"]
    assert next(iter(found)) == "lr"
    assert {"dataset", "network", "widths", "epochs", "drop_last"} < set(found)
    assert not {"keep_last", "log_interval", "dry_run"} & set(found)


def test_the_configuration_is_there_as_hyper_parameters_under_the_runs_name(folder):
    from tensorboard.plugins.hparams import plugin_data_pb2

    attempt(folder, 1, start=0, accuracies=[0.5])
    content = read_back(folder).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    info = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert info.group_name == "brisk-otter-1f36d9"
    assert info.hparams["lr"].number_value == 0.002
    assert info.hparams["dataset"].string_value == "mnist"
    assert info.hparams["widths"].string_value == "16,32,32,64"
    assert info.hparams["drop_last"].WhichOneof("kind") == "bool_value"


def test_tensorboard_finds_a_run_by_its_name(folder):
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

    attempt(folder, 1, start=0, accuracies=[0.5], is_killed=True)
    attempt(folder, 2, start=1, accuracies=[0.5, 0.6])
    links = links_of(folder)
    assert not Path(os.readlink(links / "brisk-otter-1f36d9")).is_absolute()
    (links / "removed-000000").symlink_to("../runs/000000000000/tensorboard")
    assert set(EventMultiplexer().AddRunsFromDirectory(str(links)).Runs()) == {"brisk-otter-1f36d9"}
    assert points(links / "brisk-otter-1f36d9", "accuracy/test") == [(1, 0.5), (2, 0.6)]


def test_a_volume_without_links_costs_the_name_and_not_the_curves(folder):
    links_of(folder).write_text("no folder")
    attempt(folder, 1, start=0, accuracies=[0.5])
    assert points(folder, "accuracy/test") == [(1, 0.5)]


def test_confusion_matrix_and_mistakes_are_the_pictures_of_an_evaluation(folder):
    data = load_dataset("digits", folder=folder)
    answers = [torch.full((len(data.test_labels), 10), 0.1).log()]
    with attempt(folder, 1, start=0, accuracies=[0.5], is_killed=True) as writer:
        writer.finish(answers, data)
    reader, report = read_back(folder), report_of(answers, data)
    expected = {
        "evaluation/confusion": confusion_png(report, is_card=True),
        "evaluation/mistakes": mistakes_png(report, data.test_images.numpy(), is_card=True),
    }
    assert set(reader.Tags()["images"]) == set(expected)
    for tag, png in expected.items():
        [image] = reader.Images(tag)
        assert (image.step, image.encoded_image_string) == (15, png)
        with Image.open(io.BytesIO(png)) as picture:
            assert (image.width, image.height) == picture.size
            assert image.width == 350  # of a card in TensorBoard


def test_a_folder_that_cannot_be_written_costs_the_curves_and_not_the_run(folder, caplog):
    folder.parent.mkdir(parents=True)
    folder.write_text("")
    attempt(folder, 1, start=0, accuracies=[0.5, 0.6])
    assert sum("no more curves" in record.message for record in caplog.records) == 1
