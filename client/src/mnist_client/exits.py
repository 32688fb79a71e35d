"""Every exit code, and what it means. The one place where they are written down."""

from typing import TYPE_CHECKING

from mnist_shared.errors import (
    BrokerUnreachable,
    CheckpointError,
    ContractError,
    InvalidInput,
    MissingPart,
    MnistError,
    NotEnoughEpochs,
    RunCancelled,
    RunFailed,
    RunNotFinished,
    RunNotFound,
)

if TYPE_CHECKING:
    from mnist_shared.contracts.runs import RunState

OK = 0
TROUBLE = 1
USAGE = 2
FAILED = 100
NOT_FINISHED = 101
NOT_FOUND = 102
CANCELLED = 103
GATE_MISSED = 104
UNREACHABLE = 105
TIMED_OUT = 106
DETACHED = 130
PIPE_CLOSED = 141

MEANINGS = {
    OK: "done; of a run that was waited for: it succeeded",
    TROUBLE: "this machine is in the way: a full or read-only disk, a picture that cannot be read, an unforeseen error",
    USAGE: "the command line is not valid, or a part it needs is missing",
    FAILED: "the run failed",
    NOT_FINISHED: "the run has not come far enough for what was asked",
    NOT_FOUND: "there is no such run",
    CANCELLED: "the run was cancelled",
    GATE_MISSED: "a gate was missed: the accuracy is below --min-accuracy, or `verify` found other weights",
    UNREACHABLE: "the broker cannot be reached, refuses, or is not configured",
    TIMED_OUT: "the time given with --timeout is over; the run goes on",
    DETACHED: "Ctrl-C; a run that was followed goes on",
    PIPE_CLOSED: "whoever read the output has closed it (`| head`)",
}

_OF_ERROR: dict[type[MnistError], int] = {
    BrokerUnreachable: UNREACHABLE,
    RunNotFound: NOT_FOUND,
    RunNotFinished: NOT_FINISHED,
    RunFailed: FAILED,
    RunCancelled: CANCELLED,
    InvalidInput: USAGE,
    NotEnoughEpochs: USAGE,
    ContractError: USAGE,
    MissingPart: USAGE,
    CheckpointError: USAGE,
}


def of_error(error: MnistError) -> int:
    """The exit code of a command that ended with `error`."""
    return next((code for kind, code in _OF_ERROR.items() if isinstance(error, kind)), TROUBLE)


def of_state(state: "RunState") -> int:
    """The exit code of a command that waited for a run which ended in `state`."""
    assert state.is_final, state
    return {"succeeded": OK, "failed": FAILED, "cancelled": CANCELLED}[state]
