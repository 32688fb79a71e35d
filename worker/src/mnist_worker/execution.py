"""One run from claim to its end. What it does for the run is `work`; what becomes of the run is decided here."""

import logging
import secrets
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from mnist_shared.contracts.events import Finished
from mnist_shared.contracts.runs import RunError, RunResult, RunState
from mnist_shared.errors import (
    BrokerUnreachable,
    CheckpointError,
    ContractError,
    InvalidInput,
    LeaseLost,
    MnistError,
    NotEnoughEpochs,
    TrainingDiverged,
)
from mnist_shared.storage.runs import Grant, RunStore
from mnist_worker.flag import SharedFlag
from mnist_worker.logs import about_run
from mnist_worker.reporter import Reporter

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
LAST_WORD_SECONDS = 10.0  # how long a stopping worker tries to tell an unreachable broker how its run ended
MAX_DETAILS = 8_000  # characters of a traceback
# What another attempt would end in just the same: no use for one of a run's retries.
WOULD_REPEAT = (InvalidInput, NotEnoughEpochs, TrainingDiverged, ContractError, CheckpointError)

Work = Callable[["Execution"], RunResult | None]
ArchiveLast = Callable[[Grant, Finished], None]
KeepLog = Callable[[Grant], AbstractContextManager[None]]


@dataclass(frozen=True)
class Execution:
    """What the work on a run is handed."""

    grant: Grant
    reporter: Reporter
    drain: SharedFlag

    def should_stop(self) -> bool:
        """Whether to save a checkpoint and return None: cancelled, told to stop, or no longer the owner."""
        reporter = self.reporter
        return reporter.cancel_requested.is_set() or reporter.lost.is_set() or self.drain.is_set()


@dataclass(frozen=True)
class _Ending:
    """How the work on a run ended."""

    last: Finished
    would_repeat: bool = False  # an error in which another attempt would end as well


def execute(
    run_id: str,
    *,
    store: RunStore,
    worker: str,
    drain: SharedFlag,
    work: Work,
    archive: ArchiveLast | None = None,
    keep_log: KeepLog | None = None,
) -> None:
    """Claim the run, do the work, and commit how it ended. Does nothing when the run is not to be had.

    `archive` is called with the last event before that is committed, once all others are told; `keep_log` is entered
    for as long as the run is this worker's.
    """
    grant = _claim(run_id, store=store, worker=worker, drain=drain)
    if grant is None:
        log.info("run %s: not to be had; the message is dropped", run_id)
        return
    with about_run(run_id, attempt=grant.attempt), keep_log(grant) if keep_log else nullcontext():
        log.info("run %s: attempt %d (%s)", run_id, grant.attempt, grant.request.kind)
        _execute(grant, store=store, drain=drain, work=work, archive=archive)


def _execute(grant: Grant, *, store: RunStore, drain: SharedFlag, work: Work, archive: ArchiveLast | None) -> None:
    run_id = grant.run_id
    reporter = Reporter(store, grant)
    reporter.start()
    try:
        ending = _perform(Execution(grant, reporter, drain), work=work)
        if not _flush(reporter, drain):
            log.warning("run %s: not all could be told. Nothing more is committed.", run_id)
            return
        if ending is None:
            _persist(lambda: store.release(grant), drain=drain)
            return
        last = ending.last
        retry = (
            last.state is RunState.FAILED
            and grant.retries_left > 0
            and not (ending.would_repeat or reporter.cancel_requested.is_set())
        )
        if retry:
            log.info("run %s: to be queued again, retry %d of %d", run_id, grant.failures + 1, grant.options.retries)
        elif archive:
            _persist(lambda: archive(grant, last), drain=drain)
        _persist(lambda: store.finish(grant, last, retry=retry), drain=drain)
    except LeaseLost as error:
        log.warning("run %s: %s Nothing is committed.", run_id, error.message)
    except BrokerUnreachable as error:
        log.error("run %s: %s Stopping; another worker will go on with it.", run_id, error.message)
    finally:
        reporter.stop()


def _claim(run_id: str, *, store: RunStore, worker: str, drain: SharedFlag) -> Grant | None:
    nonce = secrets.token_hex(8)  # one for all tries: a claim whose answer was lost is answered again
    while True:
        try:
            return store.claim(run_id, worker=worker, nonce=nonce)
        except ContractError as error:
            log.error("run %s: %s", run_id, error)
            return None
        except BrokerUnreachable as error:
            if drain.is_set():
                return None
            log.warning("run %s: %s Trying again.", run_id, error.message)
            time.sleep(RETRY_SECONDS)


def _perform(execution: Execution, *, work: Work) -> _Ending | None:
    """Do the work; return how the run ended, or None when it is to be handed back.

    Raises:
        LeaseLost: nothing may be committed.
    """
    grant, reporter = execution.grant, execution.reporter
    try:
        result = work(execution)
    except LeaseLost:
        raise
    except MnistError as error:
        log.error("run %s failed: %s", grant.run_id, error)
        last = Finished(state=RunState.FAILED, error=RunError.of(error, attempt=grant.attempt))
        return _Ending(last, would_repeat=isinstance(error, WOULD_REPEAT))
    except Exception as error:
        # The edge of the task: what nobody foresaw is kept in the record, and the worker lives on.
        log.exception("run %s failed", grant.run_id)
        return _Ending(Finished(state=RunState.FAILED, error=_unforeseen(error, attempt=grant.attempt)))
    if result is not None:
        log.info("run %s: done", grant.run_id)
        return _Ending(Finished(state=RunState.SUCCEEDED, result=result))
    if reporter.lost.is_set():
        raise LeaseLost(f"Attempt {grant.attempt} no longer owns run {grant.run_id}.")
    if reporter.cancel_requested.is_set():
        log.info("run %s: cancelled", grant.run_id)
        return _Ending(Finished(state=RunState.CANCELLED))
    log.info("run %s: stopped, to be handed back", grant.run_id)
    return None


class _Patience:
    """How long to try and reach the broker: for ever, but a stopping worker only LAST_WORD_SECONDS more."""

    def __init__(self, drain: SharedFlag) -> None:
        self._drain = drain
        self._deadline: float | None = None

    def is_over(self) -> bool:
        if not self._drain.is_set():
            return False
        self._deadline = self._deadline or time.monotonic() + LAST_WORD_SECONDS
        return time.monotonic() >= self._deadline


def _flush(reporter: Reporter, drain: SharedFlag) -> bool:
    """Tell all events before the last one; false when the run was lost, or a stopping worker has waited long enough."""
    patience = _Patience(drain)
    while not reporter.flush(seconds=1.0):
        if reporter.lost.is_set() or patience.is_over():
            return False
    return True


def _persist(commit: Callable[[], None], *, drain: SharedFlag) -> None:
    patience = _Patience(drain)
    while True:
        try:
            return commit()
        except BrokerUnreachable as error:
            if patience.is_over():
                raise
            log.warning("%s Trying again.", error.message)
            time.sleep(RETRY_SECONDS)


def _unforeseen(error: Exception, *, attempt: int) -> RunError:
    first_line = (str(error).splitlines() or [""])[0][:300]
    return RunError(
        kind=type(error).__name__,
        message=f"Unexpected {type(error).__name__}: {first_line}",
        hint="The traceback is in the run's record (`mnist-client status RUN --json`) and in the worker's log.",
        attempt=attempt,
        details=traceback.format_exc()[-MAX_DETAILS:],
    )
