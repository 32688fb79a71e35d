"""The network of a finished or present run, as it is evaluated, exported and asked: from one of its checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from torch import nn

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import CheckpointRejected, RunEvent
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.contracts.requests import Which
from mnist_shared.contracts.runs import CheckpointRef
from mnist_shared.errors import CheckpointError
from mnist_shared.training.checkpoints import load_newest
from mnist_shared.training.model import load_weights, new_network, tested_weights
from mnist_shared.training.normalisation import trained_with
from mnist_shared.volume.manifests import CheckpointName


class LoadedNetwork(NamedTuple):
    """A network on the CPU, and where it comes from."""

    model: nn.Module
    ref: CheckpointRef
    config: TrainConfig  # of the run
    normalisation: Normalisation | None  # None: an older checkpoint's, of a data set of the user's


def load_tested(
    folder: Path, *, target: str, which: Which = "last", on_event: Callable[[RunEvent], None]
) -> LoadedNetwork:
    """The network in the checkpoint `which` of run `target`, whose checkpoints lie in `folder`.

    Raises:
        CheckpointError: there is no such checkpoint, none is usable, or it is not of this version's networks.
        VolumeError: the folder cannot be read.
    """
    found = load_newest(
        folder,
        on_rejected=lambda file, reason: on_event(CheckpointRejected(file=file, reason=reason)),
        is_wanted=lambda name: _is(name, which),
    )
    if found is None:
        raise CheckpointError(_missing(target, which), hint=_HINTS[which if isinstance(which, str) else "epoch"])
    ref, state = found
    try:
        config = TrainConfig.model_validate_json(state["config"])
    except (KeyError, ValidationError) as error:
        raise CheckpointError(
            f"The checkpoint {ref.file} does not say which network it is.", hint="It was written by another version."
        ) from error
    model = new_network(config)
    load_weights(model, tested_weights(state))
    return LoadedNetwork(model, ref, config, trained_with(state.get("normalisation"), dataset=config.dataset))


_HINTS = {
    "last": "Wait for its first one, or train it without --no-save-model.",
    "best": "There is one of runs with --validation-size; take the last.",
    "epoch": "See `mnist-client checkpoints list`; with --keep-last more of them are kept.",
}


def _is(name: CheckpointName, which: Which) -> bool:
    if which == "last":
        return True
    return name.best if which == "best" else (name.epoch, name.batch) == (which, 0)


def _missing(target: str, which: Which) -> str:
    if which == "last":
        return f"Run {target} has no checkpoint."
    return f"Run {target} has no best checkpoint." if which == "best" else f"Run {target} has none after epoch {which}."
