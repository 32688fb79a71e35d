"""Which run a resume or an evaluation goes on from, and whether that run has come far enough for a resume."""

from collections.abc import Mapping

from mnist_shared.contracts.config import TrainConfig, make_train_config
from mnist_shared.contracts.requests import OnTarget, ResumeRequest
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.errors import CheckpointError, InvalidInput, NotEnoughEpochs, RunNotFinished, RunNotFound
from mnist_shared.storage.runs import RunStore

PAGE = 50  # records read at once while looking for the last training run
MAX_EPOCHS = 10_000  # of TrainConfig.epochs
_WHAT = {"evaluate": "an evaluation", "export": "an export", "predict": "a prediction", "verify": "a verification"}


def find_training_run(store: RunStore, name: str) -> RunRecord:
    """The run that a user means. `last` and `last~N` count these only: an evaluation trains nothing, and a canary of
    `doctor` is nobody's.

    Raises:
        RunNotFound: none.
        InvalidInput: several, or an evaluation, or no such name at all.
    """
    word, _, back = name.strip().lower().partition("~")
    if word == "last" and (not back or (back.isascii() and back.isdigit() and len(back) < 9)):
        return _last_training_run(store, int(back or 0), name=name)
    record = store.get(store.resolve(name))
    if isinstance(record.request, OnTarget):
        target, what = record.request.target, _WHAT[record.request.kind]
        if target is None:
            raise InvalidInput(f"Run {record.id} is {what} of a model file.", hint="Give a run that has trained.")
        raise InvalidInput(
            f"Run {record.id} is {what} of run {target}.", hint=f"Give the training run itself: {target}."
        )
    return record


def _last_training_run(store: RunStore, back: int, *, name: str) -> RunRecord:
    for skip in range(0, store.count(), PAGE):
        for record in store.latest(PAGE, skip=skip, on_unreadable=lambda _: None):
            if not isinstance(record.request, OnTarget) and not record.options.is_canary:
                if back == 0:
                    return record
                back -= 1
    raise RunNotFound(f"There is no training run {name!r}.", hint="Submit one with `mnist-client submit train`.")


def resume_request(record: RunRecord, overrides: Mapping[str, object]) -> ResumeRequest:
    """Train on from `record`'s last checkpoint: its configuration, with `overrides`.

    Raises:
        InvalidInput: an override is out of bounds.
        RunNotFinished: the run still waits or trains.
        CheckpointError: it has left no checkpoint.
        NotEnoughEpochs: the total is one that it has already reached.
    """
    config = overridden(record, overrides)
    if not record.state.is_final:
        raise RunNotFinished(
            f"Run {record.id} is still {record.state}.",
            hint=f"Wait for it with `mnist-client wait {record.id}`, or end it with `mnist-client cancel {record.id}`.",
        )
    if record.checkpoint is None:
        raise no_checkpoint(record)
    finished = record.checkpoint.epoch
    if config.epochs <= finished:
        larger = min(2 * finished, MAX_EPOCHS)
        raise NotEnoughEpochs(
            f"Run {record.id} already has {finished} of {record.request.config.epochs} epochs.",
            hint=f"Give a larger total: --epochs {larger}.",
        )
    return ResumeRequest(parent=record.id, config=config)


def overridden(record: RunRecord, overrides: Mapping[str, object]) -> TrainConfig:
    """The run's configuration with other values.

    Raises:
        InvalidInput: one of them is out of bounds.
    """
    return make_train_config(**record.request.config.model_dump() | dict(overrides))


def no_checkpoint(record: RunRecord) -> CheckpointError:
    """Why a run that has ended has none."""
    config = record.request.config
    if config.dry_run:
        reason = ": it was a dry run"
    elif not config.save_model:
        reason = ": it ran with --no-save-model"
    else:
        reason = f": it {record.state} before the first one was written" if record.state == "failed" else ""
    return CheckpointError(
        f"Run {record.id} has left no checkpoint{reason}.", hint="Train anew with `mnist-client submit train`."
    )
