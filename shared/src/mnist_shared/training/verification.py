"""Whether a run that was trained once more is the same: its epochs first, then its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from mnist_shared.contracts.runs import EpochMetrics, RunFile, TrainResult, VerifyResult
from mnist_shared.errors import CheckpointError
from mnist_shared.training.checkpoints import load_newest
from mnist_shared.training.digests import weights_sha256
from mnist_shared.training.model import tested_weights

_HISTORY: TypeAdapter[list[EpochMetrics]] = TypeAdapter(list[EpochMetrics])
# What an epoch came to; how long it took is another matter.
_COMPARED = ("train_loss", "test_loss", "test_correct", "validation_loss", "validation_accuracy", "lr")


def compared(
    target_id: str,
    result: TrainResult,
    *,
    target: RunFile,
    ours: Path,
    theirs: Path,
    device: str,
    versions: Mapping[str, str],
) -> VerifyResult:
    """The verdict on run `target_id`, whose checkpoints lie in `theirs`, from a second training in `ours`.

    Raises:
        CheckpointError: the target has no usable checkpoint any more, or it stands before its last epoch.
        VolumeError: a folder cannot be read.
    """
    first, second = _last_state(theirs, target_id), _last_state(ours, "of the verification")
    old, new = _HISTORY.validate_json(first["history"]), _HISTORY.validate_json(second["history"])
    if len(old) != len(new):
        raise CheckpointError(
            f"Run {target_id} stands after epoch {len(old)} of {len(new)}, and cannot be compared.",
            hint="Verify a run that has succeeded.",
        )
    weights = [tested_weights(state) for state in (first, second)]
    difference = _first_difference(old, new, *weights)
    return VerifyResult(
        target=target_id,
        identical=not difference,
        first_difference=difference,
        weights_sha256=weights_sha256(weights[1]),
        expected_sha256=weights_sha256(weights[0]),
        environment=tuple(_environment(target, device=device, versions=versions)),
        epochs=result.epochs,
        seconds=result.seconds,
        device=device,
    )


def _first_difference(
    old: list[EpochMetrics],
    new: list[EpochMetrics],
    old_weights: Mapping[str, Tensor],
    new_weights: Mapping[str, Tensor],
) -> str:
    for before, after in zip(old, new, strict=True):
        for name in _COMPARED:
            if getattr(before, name) != getattr(after, name):
                return f"epoch {before.epoch}: {name} was {getattr(before, name)!r} and is {getattr(after, name)!r}"
    for name, before_tensor in old_weights.items():
        after_tensor = new_weights[name]
        if not torch.equal(before_tensor, after_tensor):
            num = int((before_tensor != after_tensor).sum())
            return f"weights: {num:,} of {before_tensor.numel():,} elements of {name}"
    return ""


def _environment(target: RunFile, *, device: str, versions: Mapping[str, str]) -> list[str]:
    found = [f"device: {target.device} then, {device} now"] if target.device != device else []
    for name, before in target.versions.items():
        now = versions.get(name, "not installed")
        if now != before:
            found.append(f"{name}: {before} then, {now} now")
    return found


def _last_state(folder: Path, run_id: str) -> dict[str, Any]:
    found = load_newest(folder, on_rejected=lambda file, reason: None)
    if found is None:
        raise CheckpointError(f"Run {run_id} has no checkpoint to compare with.", hint="It was removed, or never kept.")
    return found[1]
