"""How long runs will take, from what earlier ones took."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from mnist_client.estimates import Paces, device_kinds, foresee, load_outlook, paces_of, remaining_seconds
from mnist_shared.contracts.config import make_train_config
from mnist_shared.contracts.requests import EvaluateRequest, Request, ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import (
    CheckpointRef,
    EpochMetrics,
    EvaluateResult,
    Progress,
    RunRecord,
    RunState,
    SubmitOptions,
    TrainResult,
)
from mnist_shared.contracts.workers import DeviceInfo, WorkerInfo
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import PresentWorker
from tests.client.owner import Owner

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHECKPOINT = CheckpointRef(file="e.pt", epoch=4, batch=0, attempt=1, num_bytes=1, sha256="a" * 64)


def train(**arguments: object) -> TrainRequest:
    return TrainRequest(config=make_train_config(**arguments))


def run(number: int, request: Request, state: str = "queued", **fields: object) -> RunRecord:
    fields.setdefault("submitted_at", NOW - timedelta(hours=1) + timedelta(seconds=number))
    return RunRecord.model_validate(
        {"id": f"{number:012x}", "request": request, "state": RunState(state), "attempt": 0,
         "attempts_without_checkpoint": 0, **fields}
    )  # fmt: skip


def epoch(number: int, seconds: float) -> EpochMetrics:
    return EpochMetrics(
        epoch=number, train_loss=0.1, test_loss=0.1, test_correct=9900, test_total=10_000, test_accuracy=0.99, lr=0.001,
        seconds=seconds, images_per_second=1000.0,
    )  # fmt: skip


def ended(number: int, seconds: float, *, device: str = "cpu", overhead: float = 2.0, **arguments: object) -> RunRecord:
    """A run of two epochs of so many seconds each."""
    progress = Progress(epoch=2, epochs=2, batch=0, num_batches=938, last_epoch=epoch(2, seconds))
    result = TrainResult(
        epochs=2, test_loss=0.1, test_correct=9900, test_total=10_000, test_accuracy=0.99, seconds=2 * seconds,
        device=device, num_threads=2, weights_sha256="b" * 64, model_file=None,
    )  # fmt: skip
    return run(
        number, train(epochs=2, **arguments), "succeeded", progress=progress, result=result, attempt=1,
        started_at=NOW - timedelta(seconds=2 * seconds + overhead), finished_at=NOW,
    )  # fmt: skip


def running(number: int, *, finished: int, batch: int = 0, seconds: float | None = None, epochs: int = 10) -> RunRecord:
    last = epoch(finished, seconds) if seconds is not None else None
    progress = Progress(epoch=finished, epochs=epochs, batch=batch, num_batches=100, last_epoch=last)
    return run(number, train(epochs=epochs), "running", progress=progress, attempt=1, started_at=NOW, worker="w")


PACES = paces_of([ended(1, 10.0)])  # 10 s an epoch, 2 s beside


def test_an_epoch_takes_what_it_took_where_the_work_was_the_same() -> None:
    paces = paces_of([ended(1, 20.0), ended(2, 30.0), ended(3, 22.0), ended(4, 5.0, preset="fast")])
    assert paces.epoch_seconds(make_train_config(seed=7, lr=0.01)) == 22.0
    assert paces.epoch_seconds(make_train_config(preset="fast")) == 5.0
    assert paces.epoch_seconds(make_train_config(batch_size=128)) == 22.0  # of the same preset, at least
    assert paces.epoch_seconds(make_train_config(dataset="digits")) is None


def test_the_same_device_counts_more() -> None:
    paces = paces_of([ended(1, 20.0), ended(2, 1.0, device="cuda")])
    config = make_train_config()
    assert (paces.epoch_seconds(config, device="cuda"), paces.epoch_seconds(config, device="cpu")) == (1.0, 20.0)


def test_a_whole_run_is_its_epochs_and_what_is_beside_them() -> None:
    assert PACES.run_seconds(train(epochs=5)) == 52.0
    assert PACES.run_seconds(train(epochs=5), finished_epochs=4) == 12.0
    assert PACES.run_seconds(train(dry_run=True)) == 2.0
    assert Paces().run_seconds(train()) is None


def test_an_evaluation_takes_what_the_last_ones_took() -> None:
    request = EvaluateRequest(target="f" * 12, config=make_train_config())
    result = EvaluateResult(
        target="f" * 12, checkpoint=CHECKPOINT, correct=1, total=2, accuracy=0.5, average_loss=1.0, seconds=1.0,
        device="cpu",
    )  # fmt: skip
    record = run(
        1, request, "succeeded", attempt=1, result=result, started_at=NOW - timedelta(seconds=3), finished_at=NOW
    )
    assert paces_of([record]).run_seconds(request) == 3.0


def test_what_is_left_goes_by_the_runs_own_last_epoch() -> None:
    assert remaining_seconds(running(2, finished=4, batch=50, seconds=8.0), PACES, now=NOW) == 44.0
    assert remaining_seconds(running(2, finished=0, batch=50), PACES, now=NOW) == 95.0
    assert remaining_seconds(running(2, finished=0), Paces(), now=NOW) is None
    assert remaining_seconds(run(2, train()), PACES, now=NOW) is None


def test_before_its_first_epoch_and_without_others_the_present_speed_counts() -> None:
    record = running(2, finished=0, epochs=2)
    assert record.progress is not None
    fast = record.model_copy(update={"progress": record.progress.model_copy(update={"images_per_second": 640.0})})
    assert remaining_seconds(fast, Paces(), now=NOW) == 20.0


def test_queued_runs_start_at_the_worker_that_is_free_first() -> None:
    queued = [run(number, train(epochs=number)) for number in (3, 1, 5)]
    outlook = foresee(
        running=[running(9, finished=9, seconds=10.0)], queued=queued, paces=PACES, num_workers=2, now=NOW
    )
    # One worker is free at once, the other after the 10 s that its run has left.
    assert outlook.starts == {queued[0].id: 0.0, queued[1].id: 10.0, queued[2].id: 22.0}
    assert outlook.ends == {f"{9:012x}": 10.0, queued[0].id: 32.0, queued[1].id: 22.0, queued[2].id: 74.0}


def test_a_run_that_waits_for_another_starts_after_it() -> None:
    first = run(1, train(epochs=1))
    second = run(2, EvaluateRequest(target=first.id, config=make_train_config()), waits_for=first.id)
    orphan = run(3, train(), waits_for="e" * 12)
    outlook = foresee(running=[], queued=[first], blocked=[second, orphan], paces=PACES, num_workers=4, now=NOW)
    assert outlook.starts == {first.id: 0.0, second.id: 12.0}


def test_a_resume_only_has_its_own_epochs_before_it() -> None:
    parent = run(1, train(epochs=4), "failed", checkpoint=CHECKPOINT)
    child = run(2, ResumeRequest(parent=parent.id, config=make_train_config(epochs=6)))
    outlook = foresee(running=[], queued=[child], paces=PACES, num_workers=1, now=NOW, parents={parent.id: parent})
    assert outlook.ends == {child.id: 22.0}


def test_nothing_is_foreseen_without_workers_or_measurements() -> None:
    queued = [run(1, train()), run(2, train())]
    assert foresee(running=[], queued=queued, paces=PACES, num_workers=0, now=NOW).starts == {}
    blind = foresee(running=[], queued=queued, paces=Paces(), num_workers=1, now=NOW)
    assert (blind.starts, blind.ends) == ({queued[0].id: 0.0}, {})


@pytest.mark.parametrize(
    ("state", "counts"), [("idle", True), ("starting", True), ("draining", False), ("drained", False)]
)
def test_workers_that_take_no_runs_do_not_count(state: str, counts: bool) -> None:
    info = WorkerInfo.model_validate(
        {"name": "w", "host": "h", "pid": 1, "state": state, "versions": {}, "started_at_ms": 0,
         "device": DeviceInfo(kind="cpu", name="x", num_threads=1)}
    )  # fmt: skip
    assert device_kinds([PresentWorker(info, NOW)]) == ({"w": "cpu"} if counts else {})


def test_the_outlook_is_read_from_the_store_in_the_order_of_the_queue(
    store: RunStore, owned: Callable[..., Owner]
) -> None:
    owned(epochs=1).train()  # 54.7 s an epoch
    low, high = (
        store.submit(train(epochs=2), options=SubmitOptions(priority=priority)).run_id for priority in ("low", "high")
    )
    after = store.submit(train(epochs=1), options=SubmitOptions(after=low)).run_id
    planned = run(0, train(epochs=1), submitted_at=NOW)
    outlook = load_outlook(store, devices={"w": "cpu"}, now=NOW, planned=planned)
    assert list(outlook.starts) == [high, planned.id, low, after]
    assert outlook.starts[planned.id] == pytest.approx(2 * 54.7)
    assert outlook.starts[after] == pytest.approx(5 * 54.7)
