"""What is asked of a run that has trained: an evaluation, an export, predictions, a verification."""

from collections.abc import Mapping, Sequence

from mnist_client.lineage import no_checkpoint, overridden
from mnist_shared.contracts.requests import (
    MAX_PACKED_LENGTH,
    MAX_PICTURES,
    EvaluateRequest,
    ExportFormat,
    ExportRequest,
    OnTarget,
    PredictRequest,
    ResumeRequest,
    VerifyRequest,
    Which,
)
from mnist_shared.contracts.runs import RunRecord, TrainResult
from mnist_shared.errors import CheckpointError, InvalidInput, RunNotFinished

FORMATS: Mapping[str, ExportFormat] = {"safetensors": "safetensors", "torchscript": "torchscript", "onnx": "onnx"}
MAX_DIGITS = 9  # of an epoch


def which_of(text: str) -> Which:
    """The checkpoint that a user means by `last`, `best` or an epoch.

    Raises:
        InvalidInput: it is none of these.
    """
    word = text.strip().lower()
    if word == "last":
        return "last"
    if word == "best":
        return "best"
    if word.isascii() and word.isdecimal() and len(word) <= MAX_DIGITS and int(word):
        return int(word)
    raise InvalidInput(f"--checkpoint: {text!r:.40} is no checkpoint.", hint="Write last, best, or an epoch.")


def format_of(text: str) -> ExportFormat:
    """The file format that a user means.

    Raises:
        InvalidInput: there is no such format.
    """
    found = FORMATS.get(text.strip().lower())
    if found is None:
        raise InvalidInput(f"--format: {text!r:.40} is none of {', '.join(FORMATS)}.", hint="Give one of them.")
    return found


def evaluate_request(
    record: RunRecord, overrides: Mapping[str, object], *, checkpoint: Which = "last"
) -> EvaluateRequest:
    """Evaluate a checkpoint of `record`; the run may still be training.

    Raises:
        InvalidInput: an override is out of bounds.
        RunNotFinished: there is no such checkpoint yet.
        CheckpointError: there will be none.
    """
    config = overridden(record, overrides)
    check_has_checkpoint(record, checkpoint)
    return EvaluateRequest(target=record.id, config=config, checkpoint=checkpoint)


def export_request(record: RunRecord, file_format: ExportFormat, *, checkpoint: Which = "last") -> ExportRequest:
    """Write a checkpoint of `record` as other programs read it.

    Raises:
        RunNotFinished, CheckpointError: as an evaluation.
    """
    check_has_checkpoint(record, checkpoint)
    return ExportRequest(target=record.id, config=record.request.config, checkpoint=checkpoint, file_format=file_format)


def predict_requests(record: RunRecord, fields: Sequence[bytes], *, checkpoint: Which = "last") -> list[PredictRequest]:
    """Which digits do these pictures, each 28 rows of 28 greys, show; in as many requests as it takes, in their order.

    Raises:
        RunNotFinished, CheckpointError: as an evaluation.
    """
    check_has_checkpoint(record, checkpoint)
    return [
        PredictRequest(
            target=record.id,
            config=record.request.config,
            checkpoint=checkpoint,
            num_pictures=num_pictures,
            packed=packed,
        )
        for num_pictures, packed in packed_batches(fields)
    ]


def verify_request(record: RunRecord) -> VerifyRequest:
    """Train what `record` trained once more, and compare.

    Raises:
        RunNotFinished: it still waits or trains.
        InvalidInput: it has not ended with weights.
    """
    if not record.state.is_final:
        raise RunNotFinished(
            f"Run {record.id} is still {record.state}.", hint=f"Wait for it with `mnist-client wait {record.id}`."
        )
    result = record.result
    if not isinstance(result, TrainResult) or result.dry_run:
        why = "was a dry run" if record.request.config.dry_run else f"has {_ended(record)}"
        raise InvalidInput(
            f"Run {record.id} {why}: there are no final weights to compare with.", hint="Give a run that has succeeded."
        )
    parent = record.request.parent if isinstance(record.request, ResumeRequest) else None
    return VerifyRequest(target=record.id, config=record.request.config, parent=parent)


def check_still_possible(request: OnTarget, target: RunRecord) -> None:
    """Whether `request`, which was sent once, can be sent again.

    Raises:
        RunNotFinished, CheckpointError, InvalidInput: its target is not, or no more, as it has to be.
    """
    if isinstance(request, VerifyRequest):
        verify_request(target)
    else:
        check_has_checkpoint(target, request.checkpoint)


def check_has_checkpoint(record: RunRecord, which: Which = "last") -> None:
    """As far as the record tells: of those before the last one it knows nothing.

    Raises:
        RunNotFinished: there is no such checkpoint yet.
        CheckpointError: there will be none.
    """
    if record.checkpoint is None:
        if record.state.is_final:
            raise no_checkpoint(record)
        raise RunNotFinished(
            f"Run {record.id} is {record.state} and has no checkpoint yet.",
            hint=f"Wait for it with `mnist-client wait {record.id}`.",
        )
    if which == "best" and not record.request.config.validation_size:
        raise CheckpointError(
            f"Run {record.id} has no best checkpoint: that is chosen by the validation set, and it has none.",
            hint="Train with --validation-size, or take --checkpoint last.",
        )
    if isinstance(which, int) and which > record.checkpoint.epoch:
        problem = f"Run {record.id} has finished {record.checkpoint.epoch} epochs, not {which}."
        if record.state.is_final or which > record.request.config.epochs:
            raise CheckpointError(problem, hint=f"See `mnist-client checkpoints list {record.id}`.")
        raise RunNotFinished(problem, hint=f"Wait for it with `mnist-client wait {record.id}`.")


def packed_batches(fields: Sequence[bytes]) -> list[tuple[int, str]]:
    """Pictures, 28 rows of 28 greys each, as a request carries them: how many, and zlib in base64."""
    import base64
    import zlib

    if len(fields) > MAX_PICTURES:
        return packed_batches(fields[:MAX_PICTURES]) + packed_batches(fields[MAX_PICTURES:])
    packed = base64.b64encode(zlib.compress(b"".join(fields), 9)).decode()
    if len(packed) <= MAX_PACKED_LENGTH:
        return [(len(fields), packed)]
    half = len(fields) // 2  # noise, which does not get smaller
    return packed_batches(fields[:half]) + packed_batches(fields[half:])


def _ended(record: RunRecord) -> str:
    return "been cancelled" if record.state == "cancelled" else str(record.state)
