"""What `evaluate` is asked to evaluate: a run, or a model file, which goes to the shared volume."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_client.lineage import find_training_run
from mnist_client.targets import check_has_checkpoint, evaluate_request, which_of
from mnist_shared.contracts.names import MODEL_SUFFIXES
from mnist_shared.contracts.requests import EvaluateRequest, Request, Which
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.errors import InvalidInput, RunNotFound

if TYPE_CHECKING:
    from mnist_client.context import CommandContext

AS_THE_FILE_SAYS = "as the file says"


def find_subject(context: "CommandContext", words: str, *, checkpoint: str | None = None) -> RunRecord | Path:
    """The training run, or the model file, that a user means by `words`.

    What has a path's separator is a file; what is called like one (`model.onnx`), or lies here as one, is a file unless
    it is a run's name.

    Raises:
        RunNotFound: there is neither.
        InvalidInput: it could be either; or it is a file, and `checkpoint` is given; or no such name at all.
        RunNotFinished, CheckpointError: the run has no such checkpoint.
    """
    found = _find(context, words)
    if isinstance(found, RunRecord):
        check_has_checkpoint(found, _which(checkpoint))
    elif checkpoint is not None:
        raise InvalidInput(
            f"--checkpoint chooses one of a run's; {words} is a file, which holds one network.",
            hint="Leave --checkpoint out, or give a run.",
        )
    return found


def request_for(
    context: "CommandContext",
    subject: RunRecord | Path,
    overrides: Mapping[str, object],
    *,
    checkpoint: str | None = None,
) -> EvaluateRequest:
    """The request to evaluate it. A model file and a data set of the user's are copied to the volume; a human is told.

    Raises:
        InvalidInput: an override is out of bounds, or the file is not to be had, or is none that can be evaluated.
        DatasetError: the folder of a data set cannot be read.
        VolumeError: the storage folder cannot be written to.
    """
    from mnist_client.datasets import with_staged_dataset

    flags = with_staged_dataset(context, overrides)
    if isinstance(subject, RunRecord):
        return evaluate_request(subject, flags, checkpoint=_which(checkpoint))
    from mnist_client.volume.sight import HOW_TO_SHARE, is_shared
    from mnist_shared.contracts.config import make_train_config
    from mnist_shared.volume.own_models import own_model_path, stage_model

    config, storage_dir = make_train_config(**flags), context.settings.storage_dir
    if is_shared(context) is False:
        context.output.warn(f"this client does not seem to share the workers' volume. {HOW_TO_SHARE}")
    file = stage_model(subject, storage_dir=storage_dir)
    context.output.talk(f"model file {subject}: {own_model_path(storage_dir, file.name)}")
    return EvaluateRequest(file=file, config=config, as_trained="dataset" not in flags)


def model_file_name(request: Request) -> str:
    """The model file that it evaluates, as it is called on the volume; "" when it evaluates none."""
    return request.file.name if isinstance(request, EvaluateRequest) and request.file is not None else ""


def configuration_of(request: Request) -> dict[str, Any]:
    """What of the configuration applies, by name: of a model file's most is not known."""
    values = request.config.model_dump(mode="json")
    if not isinstance(request, EvaluateRequest) or request.file is None:
        return values
    applies = {name: values[name] for name in ("dataset", "test_batch_size", "no_cuda", "no_mps")}
    return applies | {"dataset": AS_THE_FILE_SAYS} if request.as_trained else applies


def _which(checkpoint: str | None) -> Which:
    return "last" if checkpoint is None else which_of(checkpoint)


def _find(context: "CommandContext", words: str) -> RunRecord | Path:
    file = Path(words).expanduser() if words.startswith("~/") else Path(words)
    if any(separator in words for separator in {"/", os.sep, os.altsep or os.sep}):
        return file
    word = words.strip().lower()
    is_there = word != "last" and "~" not in word and file.is_file()
    if not is_there and not word.endswith(MODEL_SUFFIXES):
        return find_training_run(context.store, words)
    try:
        record = find_training_run(context.store, words)
    except RunNotFound as error:
        if is_there:
            return file
        raise RunNotFound(
            f"There is neither a file nor a run {words!r:.80}.",
            hint="Give a model file, or a run of `mnist-client status`.",
        ) from error
    if is_there:
        raise InvalidInput(
            f"{words!r} is a file here and a run ({record.id}).", hint=f"Write ./{words} for the file, or {record.id}."
        )
    return record
