"""What came of a run that was waited for: its result, or an error that says why there is none."""

from typing import TypeVar

from mnist_shared.contracts.runs import RunRecord, RunResult, RunState
from mnist_shared.errors import MnistError, RunCancelled, RunFailed

R = TypeVar("R")

_NOUNS = {
    "evaluate": "The evaluation",
    "export": "The export",
    "predict": "The prediction",
    "verify": "The verification",
}


def result_of(record: RunRecord, kind: type[R]) -> R:
    """The result of a run that has ended.

    Raises:
        RunFailed, RunCancelled: it has none.
    """
    if not isinstance(record.result, kind):
        raise error_of(record)
    return record.result


def any_result_of(record: RunRecord) -> RunResult:
    """The same, whatever kind of run it was."""
    if record.result is None:
        raise error_of(record)
    return record.result


def error_of(record: RunRecord) -> MnistError:
    """Why a run that has ended has no result."""
    assert record.state.is_final, record.state
    who = f"{_NOUNS.get(record.request.kind, 'Run')} {record.id}"
    see = f"See `mnist-client status {record.id}`."
    error = record.error
    why, hint = (error.message, error.hint or see) if error is not None else ("", see)
    if record.state is RunState.CANCELLED:
        return RunCancelled(f"{who} was cancelled. {why}".rstrip(), run_id=record.id, hint=hint)
    kind = error.kind if error is not None else ""
    return RunFailed(f"{who} {record.state}. {why}".rstrip(), run_id=record.id, kind=kind, hint=hint)
