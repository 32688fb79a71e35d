"""The only door to run state. Each transition is one Lua script; each is safe to repeat."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from redis import Redis

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.events import BatchProgress, EpochFinished, Finished, RunEvent
from mnist_shared.contracts.names import checked_run_id, checked_worker_name, new_run_id
from mnist_shared.contracts.requests import REQUEST, Request
from mnist_shared.contracts.runs import CheckpointRef, Progress, RunError, RunRecord, RunResult, RunState
from mnist_shared.errors import ContractError, InvalidInput, LeaseLost, RunNotFound
from mnist_shared.settings import DEFAULT_LEASE_SECONDS
from mnist_shared.storage.connection import broker_errors
from mnist_shared.storage.keys import Keys
from mnist_shared.storage.lua import script_source
from mnist_shared.storage.messages import wake_up_message
from mnist_shared.storage.records import RECORD_FIELDS, read_record

if TYPE_CHECKING:
    from mnist_shared.storage.archive import Archive

Fields = list[str | None]  # redis-py types an answer as bytes or str; our connections decode

ORPHAN_SECONDS = 5.0  # its message gone for so long and not claimed: woken up again; a claim takes milliseconds
MAX_ATTEMPTS = 5  # without a new checkpoint
LIVE_LENGTH = 100  # batch events kept: ten seconds of them
REAP_LIMIT = 100  # runs in one call: a script should be brief
PRUNE_LIMIT = 500


@dataclass(frozen=True)
class Submission:
    run_id: str
    position: int | None  # runs that are served before it; None: it no longer waits


@dataclass(frozen=True)
class Grant:
    """The right to execute a run, until the lease runs out."""

    run_id: str
    attempt: int
    token: str  # the fencing token: the attempt number, which only grows, and the claim's nonce
    request: Request


@dataclass(frozen=True)
class Reaped:
    run_id: str
    action: Literal["requeued", "cancelled", "failed", "woken"]


class RunStore:
    """Run records in Redis. Its methods raise BrokerUnreachable (or BrokerRefused) when the server is not to be had."""

    def __init__(self, redis: Redis, *, keys: Keys | None = None, lease_seconds: float = DEFAULT_LEASE_SECONDS) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.lease_ms = round(lease_seconds * 1000)
        # A fifth of the lease: 3 s of 15, so that a cancel, which comes with the answer, is heard within 5.
        self.renew_seconds = lease_seconds / 5
        self.reap_seconds = lease_seconds / 7.5  # 2 s of 15
        # When nobody has reaped for three rounds, living owners first get as long to renew: twice what they need.
        self.silence_seconds = lease_seconds * 0.4

    # ---- clients -----------------------------------------------------------------------------------------------

    def submit(self, request: Request, *, run_id: str | None = None) -> Submission:
        """Record the run and push its wake-up message, in one step. With the same id and request: submitted once.

        Raises:
            InvalidInput: the id is malformed, or belongs to another request.
        """
        run_id = new_run_id() if run_id is None else checked_run_id(run_id)
        keys = self.keys
        answer = self._call(
            "submit",
            [keys.run(run_id), keys.ids, keys.runs, keys.queued, keys.sequence, keys.queue, keys.events(run_id)],
            [run_id, request.model_dump_json(), wake_up_message(run_id, kind=request.kind)],
        )
        if answer[0] == "conflict":
            raise InvalidInput(
                f"Run {run_id} exists already, with another request.", hint="Submit without giving an id."
            )
        return Submission(run_id, None if answer[1] < 0 else answer[1])

    def cancel(self, run_id: str, *, force: bool = False) -> Literal["cancelled", "requested", "final"]:
        """Cancel at once what nobody executes; ask the owner of what somebody does, unless forced.

        A forced end does not wait for the owner: no new checkpoint is written, and what it still does is not committed.

        Raises:
            RunNotFound: there is no such run.
        """
        keys = self.keys
        answer = self._call(
            "cancel",
            [keys.run(checked_run_id(run_id)), keys.queued, keys.leases, keys.events(run_id), keys.live(run_id)],
            [run_id, self.lease_ms, "1" if force else ""],
        )
        if answer[0] == "unknown":
            raise _not_found(run_id)
        outcome: Literal["cancelled", "requested", "final"] = answer[0]
        return outcome

    def get(self, run_id: str) -> RunRecord:
        """The record.

        Raises:
            RunNotFound: there is no such run.
            ContractError: it was written by another version.
        """
        with broker_errors(self.redis):
            fields = cast(Fields, self.redis.hmget(self.keys.run(checked_run_id(run_id)), RECORD_FIELDS))
        record = read_record(fields)
        if record is None:
            raise _not_found(run_id)
        return record

    def latest(
        self, count: int, *, skip: int = 0, on_unreadable: Callable[[ContractError], None] | None = None
    ) -> list[RunRecord]:
        """Up to `count` records, the newest first, after the newest `skip`.

        Raises:
            ContractError: one was written by another version, or is damaged, and there is no `on_unreadable` to tell.
        """
        with broker_errors(self.redis):
            run_ids = cast(list[str], self.redis.zrevrange(self.keys.runs, skip, skip + count - 1))
            pipeline = self.redis.pipeline(transaction=False)
            for run_id in run_ids:
                pipeline.hmget(self.keys.run(run_id), RECORD_FIELDS)
            rows = pipeline.execute()
        records = []
        for row in rows:
            try:
                record = read_record(row)
            except ContractError as error:
                if on_unreadable is None:
                    raise
                on_unreadable(error)
                continue
            if record is not None:
                records.append(record)
        return records

    def count(self) -> int:
        """How many runs there are."""
        with broker_errors(self.redis):
            return int(self.redis.zcard(self.keys.runs))

    def position(self, run_id: str) -> int | None:
        """How many runs are served before this one; None when it does not wait."""
        with broker_errors(self.redis):
            rank = self.redis.zrank(self.keys.queued, checked_run_id(run_id))
        return None if rank is None else int(cast(int, rank))

    def resolve(self, name: str) -> str:
        """The id of the run that a user means by a unique id prefix, `last`, or `last~N` (N before the last).

        Raises:
            RunNotFound: none.
            InvalidInput: several, or it is no such name at all.
        """
        word, _, back = name.strip().lower().partition("~")
        if word in ("last", "") and (word or back):
            if back and not (back.isascii() and back.isdigit() and len(back) < 9):
                raise InvalidInput(
                    f"{name!r:.80} is not a run.", hint="Write `last`, or `last~2` for the second before it."
                )
            number = int(back or 0)
            with broker_errors(self.redis):
                found = cast(list[str], self.redis.zrevrange(self.keys.runs, number, number))
            if not found:
                raise RunNotFound(f"There is no run {name!r}.", hint="See `mnist-client status`.")
            return found[0]
        if back or not word or len(word) > 12 or set(word) - set("0123456789abcdef"):
            raise RunNotFound(
                f"There is no run {name!r:.80}.",
                hint="Give an id or its beginning, `last`, or `last~1`; see `mnist-client status`.",
            )
        with broker_errors(self.redis):
            found = cast(list[str], self.redis.zrangebylex(self.keys.ids, f"[{word}", f"[{word}g", start=0, num=4))
        if not found:
            raise _not_found(word)
        if len(found) > 1:
            some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            raise InvalidInput(f"Several runs begin with {word!r}: {some}.", hint="Give more digits.")
        return found[0]

    # ---- workers -----------------------------------------------------------------------------------------------

    def claim(self, run_id: str, *, worker: str, nonce: str | None = None) -> Grant | None:
        """Become the run's owner; None when it is not to be had (owned, ended or unknown: the message is dropped).

        A claim repeated with its nonce gets the grant that it got before.

        Raises:
            ContractError: the run's request is not one this version can read. The run is failed with that error.
        """
        keys = self.keys
        nonce = nonce or secrets.token_hex(8)
        answer = self._call(
            "claim",
            [keys.run(checked_run_id(run_id)), keys.queued, keys.leases, keys.events(run_id)],
            [run_id, checked_worker_name(worker), nonce, self.lease_ms],
        )
        if answer[0] != "granted":
            return None
        attempt = int(answer[1])
        token = f"{attempt}:{nonce}"
        try:
            request = read_document(REQUEST, answer[2], what=f"The request of run {run_id}")
        except ContractError as error:
            self._finish(run_id, token, Finished(state=RunState.FAILED, error=RunError.of(error, attempt=attempt)))
            raise
        return Grant(run_id, attempt, token, request)

    def renew(self, grant: Grant) -> bool:
        """Extend the lease; true when a cancel was requested.

        Raises:
            LeaseLost: the token is stale.
        """
        answer = self._call(
            "renew",
            [self.keys.run(grant.run_id), self.keys.leases],
            [grant.run_id, grant.token, self.lease_ms],
        )
        return self._held(answer, grant)

    def append(
        self,
        grant: Grant,
        event: RunEvent,
        *,
        sequence: int,
        progress: Progress | None = None,
        checkpoint: CheckpointRef | None = None,
    ) -> bool:
        """Tell an event, with the record's new progress or checkpoint; true when a cancel was requested.

        `sequence` numbers an execution's events from 1: a number told before is not told again.

        Raises:
            LeaseLost: the token is stale.
        """
        live = isinstance(event, BatchProgress)
        answer = self._call(
            "append",
            [self.keys.run(grant.run_id), self.keys.live(grant.run_id) if live else self.keys.events(grant.run_id)],
            [
                grant.token,
                sequence,
                event.model_dump_json(),
                LIVE_LENGTH if live else "",
                event.metrics.epoch if isinstance(event, EpochFinished) else "",
                progress.model_dump_json() if progress else "",
                checkpoint.model_dump_json() if checkpoint else "",
            ],
        )
        return self._held(answer, grant)

    def finish(self, grant: Grant, last: Finished) -> None:
        """running -> succeeded, failed or cancelled, with the run's last event. Raises LeaseLost when stale."""
        self._finish(grant.run_id, grant.token, last)

    def succeed(self, grant: Grant, result: RunResult) -> None:
        """running -> succeeded. Raises LeaseLost when the token is stale."""
        self.finish(grant, Finished(state=RunState.SUCCEEDED, result=result))

    def fail(self, grant: Grant, error: RunError) -> None:
        """running -> failed. Raises LeaseLost when the token is stale."""
        self.finish(grant, Finished(state=RunState.FAILED, error=error))

    def confirm_cancelled(self, grant: Grant) -> None:
        """running -> cancelled, by the owner that was asked to. Raises LeaseLost when the token is stale."""
        self.finish(grant, Finished(state=RunState.CANCELLED))

    def release(self, grant: Grant) -> None:
        """Hand the run back: it is the next to be served, and this attempt is not charged.

        Raises:
            LeaseLost: the token is stale.
        """
        keys, run_id = self.keys, grant.run_id
        answer = self._call(
            "release",
            [keys.run(run_id), keys.leases, keys.queued, keys.queue, keys.events(run_id), keys.live(run_id)],
            [run_id, grant.token],
        )
        self._held(answer, grant)

    def reap(self) -> list[Reaped]:
        """Take back the runs whose lease ran out, and wake up those whose message was lost."""
        keys = self.keys
        answer = self._call(
            "reap",
            [keys.leases, keys.queued, keys.queue, keys.last_reap, keys.hold],
            [
                keys.run(""),
                keys.events(""),
                keys.live(""),
                self.lease_ms,
                round(ORPHAN_SECONDS * 1000),
                MAX_ATTEMPTS,
                round(self.silence_seconds * 1000),
                REAP_LIMIT,
            ],
        )
        return [Reaped(run_id, action) for run_id, action in answer]

    # ---- operators ---------------------------------------------------------------------------------------------

    def restore(self, archive: "Archive", *, attempt: int, written_ms: int) -> bool:
        """Make a record again from what the volume keeps of its run; false when there is one.

        `attempt` is the newest that left a trace, `written_ms` stands in for a time of submission that is not known.
        """
        keys, run_file, last = self.keys, archive.run_file, archive.finished
        run_id, request = run_file.id, run_file.request
        progress, checkpoint = archive.progress, archive.checkpoint
        events = archive.events if last else []
        answer = self._call(
            "restore",
            [keys.run(run_id), keys.ids, keys.runs, keys.queued, keys.sequence, keys.queue, keys.events(run_id)],
            [
                run_id,
                request.model_dump_json(),
                wake_up_message(run_id, kind=request.kind),
                last.state if last else RunState.QUEUED,
                attempt,
                events[0].milliseconds if events else written_ms,
                events[-1].milliseconds if events else "",
                progress.model_dump_json() if progress else "",
                checkpoint.model_dump_json() if checkpoint else "",
                last.result.model_dump_json() if last and last.result else "",
                last.error.model_dump_json() if last and last.error else "",
                *(part for told in events for part in (told.id, told.event.model_dump_json())),
            ],
        )
        return bool(answer[0] == "restored")

    def prune(self, *, keep_days: float) -> list[str]:
        """Forget the records and streams of runs that ended more than `keep_days` ago; their files stay."""
        keys = self.keys
        pruned = self._call(
            "prune",
            [keys.runs, keys.ids],
            [keys.run(""), keys.events(""), keys.live(""), round(keep_days * 86_400_000), PRUNE_LIMIT],
        )
        return list(pruned)

    # ---- inside ------------------------------------------------------------------------------------------------

    def _finish(self, run_id: str, token: str, last: Finished) -> None:
        keys = self.keys
        answer = self._call(
            "finish",
            [keys.run(run_id), keys.leases, keys.events(run_id), keys.live(run_id)],
            [
                run_id,
                token,
                last.state,
                last.result.model_dump_json() if last.result else "",
                last.error.model_dump_json() if last.error else "",
                last.model_dump_json(),
            ],
        )
        if answer[0] == "stale":
            raise _lease_lost(run_id, token)

    def _held(self, answer: Any, grant: Grant) -> bool:
        if answer[0] == "stale":
            raise _lease_lost(grant.run_id, grant.token)
        return len(answer) > 1 and bool(answer[1])

    def _call(self, script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        with broker_errors(self.redis):
            return self.redis.register_script(script_source(script))(keys=keys, args=arguments)


def _not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"There is no run {run_id}.", hint="See `mnist-client status`.")


def _lease_lost(run_id: str, token: str) -> LeaseLost:
    return LeaseLost(
        f"Attempt {token.partition(':')[0]} no longer owns run {run_id}.", hint="Nothing of it was committed since."
    )
