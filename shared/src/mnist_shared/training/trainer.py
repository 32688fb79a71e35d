"""The training loop. It knows no queue: it is handed `on_event` and `should_stop`."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EpochFinished, RunEvent, TrainingStarted
from mnist_shared.contracts.runs import TrainResult
from mnist_shared.training.augment import TrainingView
from mnist_shared.training.checkpoints import CheckpointStore, save_model
from mnist_shared.training.data import Dataset
from mnist_shared.training.device import choose_algorithms
from mnist_shared.training.digests import weights_sha256
from mnist_shared.training.loss import training_loss
from mnist_shared.training.metrics import BatchReporter, measure_epoch
from mnist_shared.training.resume import Start, find_start
from mnist_shared.training.sampling import epoch_order, seed_step
from mnist_shared.training.saving import Saver
from mnist_shared.training.schedule import learning_rate
from mnist_shared.training.sets import training_sets
from mnist_shared.training.state import TrainingState


def train(
    config: TrainConfig,
    *,
    data: Dataset,
    device: torch.device,
    num_threads: int,
    checkpoints: CheckpointStore,
    model_path: Path,
    on_event: Callable[[RunEvent], None],
    should_stop: Callable[[], bool],
    parent: Path | None = None,
    answers: list[Tensor] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainResult | None:
    """Train to the end, or until `should_stop`; None then, with a checkpoint at that very batch.

    Goes on from the newest checkpoint of its own, else of the folder `parent`, else from scratch. Equal configuration,
    data, device kind, thread count and library versions give equal weights, however often the run was stopped or killed
    on the way: on a CPU bit for bit, on a GPU while `config.deterministic`. Sets torch's thread count and default
    generator. `clock` gives seconds.

    `answers`, where given, gets the log-probabilities over the test set after the last epoch, float32 [n, 10] a batch;
    nothing when that epoch was finished by an earlier attempt.

    A resumed run tells its finished epochs again: at least once, so that none is lost when a worker dies after a
    checkpoint and before the event. Receivers drop those they know.

    Raises:
        CheckpointError: there are checkpoints to go on from and none is usable, or the parent has none.
        NotEnoughEpochs: the parent has reached `config.epochs` already.
        InvalidInput: the validation set would leave nothing to train on.
        TrainingDiverged: the loss or a weight is no longer finite.
        VolumeError: the volume is full, read-only or out of reach.
        LeaseLost: `checkpoints.authorize` or `on_event` raised it.
    """
    choose_algorithms(device, deterministic=config.deterministic)
    sets = training_sets(data, config=config, device=device)
    images, labels = sets.train
    num_batches = sets.num_batches(config)
    start = find_start(
        config,
        data=data,
        device=device,
        num_threads=num_threads,
        checkpoints=checkpoints,
        parent=parent,
        on_event=on_event,
    )
    state = start.state
    torch.set_num_threads(state.num_threads)
    epochs = state.epoch + 1 if config.dry_run else config.epochs
    on_event(_started(start, data=data, num_images=len(images), epochs=epochs, num_batches=num_batches, device=device))
    for metrics in state.own_history:
        on_event(EpochFinished(epochs=epochs, metrics=metrics))
    view = TrainingView(images, config=config, mean=sets.mean, std=sets.std)

    with Saver(
        checkpoints, config=config, data=data, on_event=on_event, clock=clock, saved_at=start.own_place
    ) as saver:
        while state.epoch < epochs:
            state.model.train()
            last = clock()
            reporter = BatchReporter(
                on_event, epochs=epochs, num_batches=num_batches, log_interval=config.log_interval, now=last
            )
            order = epoch_order(len(images), seed=config.seed, epoch=state.epoch + 1).to(device)
            view.begin_epoch(state.epoch + 1)
            for batch in range(state.batch, num_batches):
                if should_stop():
                    saver.save(state)
                    return None
                chosen = order[batch * config.batch_size : (batch + 1) * config.batch_size]
                step = state.epoch * num_batches + batch
                seed_step(device, seed=config.seed, step=step)
                state.lr = learning_rate(config, step=step, num_batches=num_batches)
                log_probabilities = state.model(view.batch(chosen))
                loss = training_loss(log_probabilities, labels[chosen], smoothing=config.label_smoothing)
                state.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                state.optimizer.step()
                state.average(config.ema, step=step)
                now = clock()
                state.count(loss, num_images=len(chosen), seconds=now - last)
                last = now
                reporter.report(state, loss, num_images=len(chosen), now=now)
                saver.save_if_due(state)
            epoch = measure_epoch(
                state,
                sets=sets,
                config=config,
                device=device,
                should_stop=should_stop,
                clock=clock,
                answers=answers if state.epoch + 1 == epochs else None,
            )
            if epoch is None:
                saver.save(state)
                return None
            saver.flush()  # so that the checkpoints and epochs of a run are told in one order, always
            state.end_epoch(epoch)
            on_event(EpochFinished(epochs=epochs, metrics=epoch))
            saver.save(state)

    if saver.is_on:
        save_model(model_path, state.tested, attempt=checkpoints.attempt, authorize=checkpoints.authorize)
    model_file = model_path.name if saver.is_on else None
    return _result(state, config=config, data=data, device=device, model_file=model_file)


def _started(
    start: Start, *, data: Dataset, num_images: int, epochs: int, num_batches: int, device: torch.device
) -> TrainingStarted:
    return TrainingStarted(
        dataset=data.name,
        num_images=num_images,
        device=device.type,
        num_threads=start.state.num_threads,
        epoch=start.state.epoch,
        epochs=epochs,
        batch=start.state.batch,
        num_batches=num_batches,
        checkpoint=start.file,
        dataset_sha256=data.sha256,
    )


def _result(
    state: TrainingState, *, config: TrainConfig, data: Dataset, device: torch.device, model_file: str | None
) -> TrainResult:
    final = state.history[-1]
    return TrainResult(
        epochs=state.epoch,
        test_loss=final.test_loss,
        test_correct=final.test_correct,
        test_total=final.test_total,
        test_accuracy=final.test_accuracy,
        seconds=sum(metrics.seconds for metrics in state.own_history),
        device=device.type,
        num_threads=state.num_threads,
        weights_sha256=weights_sha256(state.tested),
        model_file=model_file,
        dry_run=config.dry_run,
        dataset_sha256=data.sha256,
    )
