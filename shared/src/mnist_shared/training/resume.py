"""Where a run starts: at its own last checkpoint, at its parent's, or from scratch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import CheckpointRejected, RunEvent
from mnist_shared.errors import CheckpointError, NotEnoughEpochs
from mnist_shared.training.checkpoints import CheckpointStore, load_newest
from mnist_shared.training.data import Dataset
from mnist_shared.training.state import READABLE_VERSIONS, STATE_SCHEMA_VERSION, TrainingState, fresh_state, restore


class Start(NamedTuple):
    """A run, ready for its next batch."""

    state: TrainingState
    file: str | None  # the checkpoint it comes from
    is_own: bool  # that one is of this run itself, not of its parent

    @property
    def own_place(self) -> tuple[int, int] | None:
        """Finished epochs, and batches after them, of the run's own checkpoint."""
        return (self.state.epoch, self.state.batch) if self.is_own else None


def find_start(
    config: TrainConfig,
    *,
    data: Dataset,
    device: torch.device,
    num_threads: int,
    checkpoints: CheckpointStore,
    parent: Path | None,
    on_event: Callable[[RunEvent], None],
) -> Start:
    """The run's own newest checkpoint if it may resume and has one, else the newest in `parent`, else scratch.

    A checkpoint brings its number of threads along; `num_threads` is for a run from scratch.

    Raises:
        CheckpointError: the parent has none, all are damaged, or the one found does not fit data or configuration.
        NotEnoughEpochs: the parent has finished as many epochs as `config` asks for in total, or more.
        VolumeError: a folder cannot be read.
    """

    def reject(file: str, reason: str) -> None:
        on_event(CheckpointRejected(file=file, reason=reason))

    own = load_newest(checkpoints.folder, on_rejected=reject) if config.resume else None
    if own is not None:
        ref, saved = own
        return Start(_restored(saved, ref.file, config=config, data=data, device=device, inherit=False), ref.file, True)
    if parent is None:
        return Start(fresh_state(config, device=device, num_threads=num_threads), None, False)
    inherited = load_newest(parent, on_rejected=reject)
    if inherited is None:
        raise CheckpointError(
            "The run to resume from has no checkpoint.", hint="Wait for its first one, or submit a new training run."
        )
    ref, saved = inherited
    if ref.epoch >= config.epochs:
        raise NotEnoughEpochs(
            f"The run to resume from has finished {ref.epoch} epochs, and {config.epochs} in total are asked for.",
            hint=f"Resume it with --epochs {ref.epoch + 1} or more.",
        )
    return Start(_restored(saved, ref.file, config=config, data=data, device=device, inherit=True), ref.file, False)


def _restored(
    saved: Mapping[str, Any], file: str, *, config: TrainConfig, data: Dataset, device: torch.device, inherit: bool
) -> TrainingState:
    version = saved.get("schema_version")
    if version not in READABLE_VERSIONS:
        raise CheckpointError(
            f"The checkpoint {file} has schema version {version!r}; this version reads {STATE_SCHEMA_VERSION}.",
            hint="Resume it with the version of mnist-shared that wrote it.",
        )
    try:
        _check_fit(saved, file, config=config, data=data)
        return restore(saved, config=config, device=device, inherit=inherit)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ValidationError) as error:
        raise CheckpointError(
            f"The checkpoint {file} cannot be resumed from ({type(error).__name__}: {error}).",
            hint="Train from the beginning with --no-resume.",
        ) from error


def _check_fit(saved: Mapping[str, Any], file: str, *, config: TrainConfig, data: Dataset) -> None:
    if saved["dataset_sha256"] != data.sha256:
        raise CheckpointError(
            f"The checkpoint {file} was trained on other data ({saved['dataset']}) than this {data.name}.",
            hint="Resume it with the same --dataset and the same files.",
        )
    then = TrainConfig.model_validate_json(saved["config"])
    fixed = []
    if saved["batch"] > 0:  # the rest of its epoch is defined by how the epoch was cut
        fixed += ["batch_size", "drop_last", "seed", "validation_size"]
    if config.validation_size > 0:  # else images that were trained on would be held out
        fixed += ["seed", "validation_size"]
    for name in fixed:
        before, now = getattr(then, name), getattr(config, name)
        if before != now:
            option = f"--{name.replace('_', '-')}"
            raise CheckpointError(
                f"The checkpoint {file} was trained with {option} {before}, and cannot go on with {now}.",
                hint=f"Resume it with {option} {before}.",
            )
