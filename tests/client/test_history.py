"""What a run's events add up to."""

from mnist_client.history import Place, history_of
from mnist_shared.contracts.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    BatchProgress,
    CheckpointSaved,
    EnvironmentRecorded,
    EpochFinished,
    Finished,
    HandedBack,
    RunEvent,
    Submitted,
    TrainingStarted,
)
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, RunError, RunState
from mnist_shared.storage.events import ToldEvent

ERROR = RunError(kind="VolumeError", message="The volume is full.", attempt=3)


def told(*events: RunEvent) -> list[ToldEvent]:
    """A second between each."""
    return [ToldEvent(f"{1000 * number}-0", event) for number, event in enumerate(events)]


def started(attempt: int, worker: str = "worker-1") -> AttemptStarted:
    return AttemptStarted(attempt=attempt, worker=worker)


def training(epoch: int = 0, batch: int = 0, **more: object) -> TrainingStarted:
    facts = {"dataset": "mnist", "num_images": 60_000, "device": "cpu", "num_threads": 2, "epochs": 5}
    return TrainingStarted.model_validate(facts | {"epoch": epoch, "batch": batch, "num_batches": 938, **more})


def epoch(number: int) -> EpochFinished:
    metrics = EpochMetrics(
        epoch=number, train_loss=0.2, test_loss=0.05, test_correct=9900, test_total=10_000, test_accuracy=0.99,
        lr=0.001, seconds=50.0, images_per_second=1200.0,
    )  # fmt: skip
    return EpochFinished(epochs=5, metrics=metrics)


def saved(epoch: int, batch: int) -> CheckpointSaved:
    ref = CheckpointRef(file="a.pt", epoch=epoch, batch=batch, attempt=1, num_bytes=1, sha256="a" * 64)
    return CheckpointSaved(checkpoint=ref)


def test_each_attempt_has_its_worker_its_end_and_how_far_it_came() -> None:
    history = history_of(
        told(
            Submitted(),
            started(1), training(), epoch(1), saved(1, 0), saved(1, 120), AttemptLost(attempt=1, worker="worker-1"),
            started(2, "worker-2"), training(1, 120), HandedBack(attempt=2, worker="worker-2"),
            started(3), training(1, 120), epoch(2), AttemptFailed(attempt=3, worker="worker-1", error=ERROR),
            started(4), training(2), epoch(3), Finished(state=RunState.SUCCEEDED),
        )
    )  # fmt: skip
    assert [(one.number, one.worker, one.end) for one in history.attempts] == [
        (1, "worker-1", "lost"),
        (2, "worker-2", "handed back"),
        (3, "worker-1", "failed"),
        (4, "worker-1", "succeeded"),
    ]
    assert [one.place for one in history.attempts] == [
        Place(1, 120, 938), Place(1, 120, 938), Place(2, 0, 938), Place(3, 0, 938),
    ]  # fmt: skip
    assert history.attempts[1].began_at == Place(1, 120, 938)
    assert history.attempts[2].error == ERROR
    first = history.attempts[0]
    assert first.ended_at is not None
    assert (first.ended_at - first.started_at).total_seconds() == 5
    assert [metrics.epoch for metrics in history.epochs] == [1, 2, 3]


def test_an_attempt_without_an_end_goes_on() -> None:
    history = history_of(told(Submitted(), started(1)))
    assert (history.attempts[0].end, history.attempts[0].ended_at, history.attempts[0].place) == ("", None, None)
    assert history_of([]).attempts == []


def test_a_run_that_is_given_up_keeps_how_its_last_attempt_ended() -> None:
    lost = AttemptLost(attempt=1, worker="worker-1")
    history = history_of(told(started(1), lost, Finished(state=RunState.FAILED, error=ERROR)))
    assert [one.end for one in history.attempts] == ["lost"]


def test_it_keeps_what_the_last_attempt_ran_on() -> None:
    def environment(device: str) -> EnvironmentRecorded:
        return EnvironmentRecorded(device=device, device_name="", num_threads=1, versions={"torch": "2"})

    events = (
        started(1),
        environment("cpu"),
        training(),
        started(2),
        environment("cuda"),
        training(dataset_sha256="ab"),
    )
    history = history_of(told(*events))
    assert history.environment == environment("cuda")
    assert history.training is not None
    assert history.training.dataset_sha256 == "ab"


def test_a_step_counts_the_batches_of_all_epochs() -> None:
    assert Place(3, 120, 938).step == 2934
    assert Place(3, 120).step is None
    live = BatchProgress(epoch=4, epochs=5, batch=7, num_batches=938, loss=0.1, images_per_second=1.0)
    history = history_of(told(started(1), training(), live))
    assert history.attempts[0].place == Place(3, 7, 938)
