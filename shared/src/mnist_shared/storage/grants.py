"""What the owner of a run may do: renew, tell, finish, hand back. With a stale grant it may do none of it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.events import BatchProgress, EpochFinished, Finished, RunEvent
from mnist_shared.contracts.names import checked_run_id, checked_worker_name
from mnist_shared.contracts.requests import REQUEST, Request
from mnist_shared.contracts.runs import CheckpointRef, Progress, RunError, RunState, SubmitOptions
from mnist_shared.errors import ContractError, LeaseLost
from mnist_shared.storage.events import ToldEvent, read_event
from mnist_shared.storage.lua import Scripted
from mnist_shared.storage.records import read_options

LIVE_LENGTH = 100  # batch events kept: ten seconds of them


@dataclass(frozen=True)
class Grant:
    """The right to execute a run, until the lease runs out."""

    run_id: str
    attempt: int
    token: str  # the fencing token: the attempt number, which only grows, and the claim's nonce
    request: Request
    options: SubmitOptions = field(default_factory=SubmitOptions)
    failures: int = 0  # attempts that have failed before this one

    @property
    def retries_left(self) -> int:
        return self.options.retries - self.failures


@dataclass(frozen=True)
class Telling:
    """An event, with what is new in the record because of it."""

    sequence: int  # numbers an execution's events from 1
    event: RunEvent
    progress: Progress | None = None
    checkpoint: CheckpointRef | None = None

    def parts(self) -> tuple[str | int, ...]:
        """As the script takes it."""
        return (
            self.sequence,
            self.event.model_dump_json(),
            LIVE_LENGTH if isinstance(self.event, BatchProgress) else "",
            self.event.metrics.epoch if isinstance(self.event, EpochFinished) else "",
            self.progress.model_dump_json() if self.progress else "",
            self.checkpoint.model_dump_json() if self.checkpoint else "",
        )


class Grants(Scripted):
    """The workers' side of the run store."""

    def claim(self, run_id: str, *, worker: str, nonce: str | None = None) -> Grant | None:
        """Become the run's owner; None when it is not to be had (owned, ended, unknown, or the queue is paused or the
        worker drained: the message is dropped).

        A claim repeated with its nonce gets the grant that it got before.

        Raises:
            ContractError: the run's request is not one this version can read. The run is failed with that error.
        """
        nonce = nonce or secrets.token_hex(8)
        answer = self._call("claim", checked_run_id(run_id), checked_worker_name(worker), nonce, self.lease_ms)
        if answer[0] != "granted":
            return None
        _, attempt, request_text, options_text, name, failures = answer
        token = f"{attempt}:{nonce}"
        try:
            request = read_document(REQUEST, request_text, what=f"The request of run {run_id}")
            options = read_options(options_text, name=name, what=f"run {run_id}")
        except ContractError as error:
            self._finish(run_id, token, Finished(state=RunState.FAILED, error=RunError.of(error, attempt=attempt)))
            raise
        return Grant(run_id, attempt, token, request, options, int(failures))

    def renew(self, grant: Grant) -> bool:
        """Extend the lease; true when a cancel was requested.

        Raises:
            LeaseLost: the token is stale.
        """
        return _held(self._call("renew", grant.run_id, grant.token, self.lease_ms), grant)

    def append(
        self,
        grant: Grant,
        event: RunEvent,
        *,
        sequence: int,
        progress: Progress | None = None,
        checkpoint: CheckpointRef | None = None,
    ) -> bool:
        """`append_all` for one event."""
        return self.append_all(grant, [Telling(sequence, event, progress, checkpoint)])

    def append_all(self, grant: Grant, tellings: Sequence[Telling]) -> bool:
        """Tell events, each with the record's new progress or checkpoint; true when a cancel was requested.

        A number told before is not told again.

        Raises:
            LeaseLost: the token is stale.
        """
        answer = self._call("append", grant.run_id, grant.token, *(part for one in tellings for part in one.parts()))
        return _held(answer, grant)

    def replay(self, grant: Grant) -> list[ToldEvent]:
        """All that was told of the run so far, batch progress excepted. Extends the lease.

        Raises:
            LeaseLost: the token is stale.
        """
        answer = self._call("replay", grant.run_id, grant.token, self.lease_ms)
        if answer[0] == "stale":
            raise _lease_lost(grant.run_id, grant.token)
        return [read_event((event_id, {"event": text})) for event_id, (_, text) in answer[1]]

    def finish(self, grant: Grant, last: Finished, *, retry: bool = False) -> None:
        """running -> succeeded, failed or cancelled, with the run's last event; and what waits for the run is queued or
        cancelled.

        With `retry`, an attempt that failed does not end a run that has retries left: it is queued again, behind all of
        its priority (or cancelled, when that was asked for).

        Raises:
            LeaseLost: the token is stale.
        """
        self._finish(grant.run_id, grant.token, last, retry=retry)

    def release(self, grant: Grant) -> None:
        """Hand the run back: it is the next of its priority to be served, and this attempt is not charged.

        Raises:
            LeaseLost: the token is stale.
        """
        _held(self._call("release", grant.run_id, grant.token), grant)

    def _finish(self, run_id: str, token: str, last: Finished, *, retry: bool = False) -> None:
        answer = self._call(
            "finish",
            run_id,
            token,
            last.state,
            last.result.model_dump_json() if last.result else "",
            last.error.model_dump_json() if last.error else "",
            last.model_dump_json(),
            "1" if retry and last.state is RunState.FAILED else "",
        )
        if answer[0] == "stale":
            raise _lease_lost(run_id, token)


def _held(answer: Any, grant: Grant) -> bool:
    if answer[0] == "stale":
        raise _lease_lost(grant.run_id, grant.token)
    return len(answer) > 1 and bool(answer[1])


def _lease_lost(run_id: str, token: str) -> LeaseLost:
    return LeaseLost(
        f"Attempt {token.partition(':')[0]} no longer owns run {run_id}.", hint="Nothing of it was committed since."
    )
