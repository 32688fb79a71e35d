"""What a client does to runs: submit them, and cancel them."""

from dataclasses import dataclass
from typing import Literal

from mnist_shared.contracts.names import checked_run_id, checked_run_name, checked_tag, new_run_id
from mnist_shared.contracts.requests import OnTarget, Request, ResumeRequest
from mnist_shared.contracts.run_names import random_run_name
from mnist_shared.contracts.runs import SubmitOptions
from mnist_shared.errors import InvalidInput, RunNotFound
from mnist_shared.storage.lua import Scripted
from mnist_shared.storage.messages import wake_up_message


@dataclass(frozen=True)
class Submission:
    run_id: str
    position: int | None  # runs that are served before it; None: it does not wait in the queue
    name: str
    waits_for: str | None = None  # the run that has to succeed before this one is queued


class Submissions(Scripted):
    """The clients' side of the run store."""

    def submit(
        self, request: Request, *, run_id: str | None = None, options: SubmitOptions | None = None
    ) -> Submission:
        """Record the run and push its wake-up message, in one step. The same again, id included, is submitted once.

        A run without a name is given one. A run `after` another is queued when that one has succeeded.

        Raises:
            InvalidInput: the id is malformed or belongs to another request; the name or a tag is malformed, or another
                run has that name; the run to come after has failed or was cancelled.
            RunNotFound: there is no run to come after.
        """
        run_id = new_run_id() if run_id is None else checked_run_id(run_id)
        options = options or SubmitOptions()
        name = checked_run_name(options.name) if options.name else random_run_name()
        answer = self._call(
            "submit", run_id, *what_is_asked(run_id, request, options, name), "1" if options.name else "",
            options.after or "", *what_is_indexed(request, options),
        )  # fmt: skip
        outcome, *rest = answer
        if outcome == "conflict":
            raise InvalidInput(
                f"Run {run_id} exists already, with another request.", hint="Submit without giving an id."
            )
        if outcome == "taken":
            raise InvalidInput(
                f"Run {rest[0]} is called {name!r} already.", hint="Give another name, or none: one is found then."
            )
        if outcome == "no_parent":
            raise RunNotFound(f"There is no run {options.after} to come after.", hint="See `mnist-client status`.")
        if outcome == "parent_ended":
            problem = "failed" if rest[0] == "failed" else "been cancelled"
            raise InvalidInput(
                f"Run {options.after} has {problem}, so nothing can come after it.",
                hint=f"See `mnist-client status {options.after}`, or submit without --after.",
            )
        position, name, waits_for = rest
        return Submission(run_id, position if position >= 0 else None, name, waits_for or None)

    def cancel(self, run_id: str, *, force: bool = False) -> Literal["cancelled", "requested", "final"]:
        """Cancel at once what nobody executes; ask the owner of what somebody does, unless forced.

        A forced end does not wait for the owner: no new checkpoint is written, and what it still does is not committed.
        Runs that wait for this one are cancelled with it.

        Raises:
            RunNotFound: there is no such run.
        """
        answer = self._call("cancel", checked_run_id(run_id), self.lease_ms, "1" if force else "")
        if answer[0] == "unknown":
            raise RunNotFound(f"There is no run {run_id}.", hint="See `mnist-client status`.")
        outcome: Literal["cancelled", "requested", "final"] = answer[0]
        return outcome


def what_is_asked(run_id: str, request: Request, options: SubmitOptions, name: str) -> tuple[str, ...]:
    """The record's fields that never change, in the order in which the scripts take them."""
    message = wake_up_message(run_id, kind=request.kind, priority=options.priority)
    return (
        *(request.model_dump_json(), options.model_dump_json(), request.kind, options.priority),
        *(message, name),
    )


def what_is_indexed(request: Request, options: SubmitOptions) -> tuple[str, str, str]:
    """The runs that this one was made from, its tags, and the fingerprint that its success is found by."""
    parents = [options.retry_of] if options.retry_of else []
    if isinstance(request, ResumeRequest):
        parents.append(request.parent)
    elif isinstance(request, OnTarget) and request.target is not None:
        parents.append(request.target)
    tags = [checked_tag(tag) for tag in options.tags]
    fingerprint = options.fingerprint if options.fingerprint and not request.config.dry_run else ""
    return " ".join(parents), f" {' '.join(tags)} ", fingerprint
