"""Send requests to the queue: what a program needs for it. The command line's talk about it is in `sending`."""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from mnist_shared.contracts.base import describe
from mnist_shared.contracts.fingerprints import fingerprint
from mnist_shared.contracts.names import checked_run_name, checked_tag
from mnist_shared.contracts.requests import EvaluateRequest, OnTarget, Request, Training
from mnist_shared.contracts.runs import RunRecord, RunState, SubmitOptions
from mnist_shared.errors import InvalidInput, RunNotFinished
from mnist_shared.storage.runs import RunStore


@dataclass(frozen=True)
class Wishes:
    """What is wished for a run beside its request."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    priority: str = "normal"
    after: str | None = None  # a run, as a user names it
    retries: int = 0
    retry_of: str | None = None  # a run's id
    if_needed: bool = False  # take a finished run with the same fingerprint instead
    then_evaluate: bool = False  # and evaluate it once it has succeeded


@dataclass(frozen=True)
class Sent:
    """What became of a request."""

    run_id: str
    name: str
    position: int | None = None  # runs that are served before it; None: it does not wait in the queue
    waits_for: str | None = None  # the run that has to succeed first
    is_reused: bool = False  # a finished run: nothing was sent
    evaluation: "Sent | None" = None  # of `then_evaluate`


def submit(store: RunStore, request: Request, wishes: Wishes = Wishes()) -> Sent:
    """Send `request`, or find the run that has done it already.

    Raises:
        InvalidInput: a wish is not valid, or does not go with the request.
        RunNotFound: there is no run `wishes.after`.
    """
    options = submit_options(store, request, wishes)
    sent = (find_finished(store, options) if wishes.if_needed else None) or _send(store, request, options)
    if not wishes.then_evaluate:
        return sent
    evaluation = EvaluateRequest(target=sent.run_id, config=request.config)
    then = replace(wishes, name=None, after=None if sent.is_reused else sent.run_id, then_evaluate=False)
    return replace(sent, evaluation=submit(store, evaluation, then))


def submit_options(store: RunStore, request: Request, wishes: Wishes) -> SubmitOptions:
    """The wishes as the run's record keeps them.

    Raises:
        InvalidInput, RunNotFound: see `submit`.
    """
    if wishes.then_evaluate:
        _check_leaves_a_checkpoint(request)
    after = store.resolve(wishes.after) if wishes.after is not None else None
    try:
        return SubmitOptions.model_validate(
            {
                "name": checked_run_name(wishes.name) if wishes.name is not None else None,
                "tags": tuple(dict.fromkeys(checked_tag(tag) for tag in wishes.tags)),
                "priority": wishes.priority,
                "after": after,
                "retries": wishes.retries,
                "retry_of": wishes.retry_of,
                "fingerprint": _fingerprint(store, request, after=after),
            }
        )
    except ValidationError as error:
        field, _, problem = describe(error).partition(": ")
        option = {"tags": "tag"}.get(field, field.replace("_", "-"))
        raise InvalidInput(f"--{option}: {problem}.", hint="See `mnist-client submit train --help`.") from error


def find_finished(store: RunStore, options: SubmitOptions) -> Sent | None:
    """The run that has succeeded with the same fingerprint."""
    run_id = store.find_succeeded(options.fingerprint) if options.fingerprint is not None else None
    return None if run_id is None else Sent(run_id, store.get(run_id).options.name or run_id, is_reused=True)


def retry_wishes(record: RunRecord, *, is_forced: bool = False) -> Wishes:
    """What is to be sent along with `record.request` to try it once more, from scratch.

    Raises:
        RunNotFinished: it still waits or runs.
        InvalidInput: it has succeeded, and nobody insists.
    """
    if not record.state.is_final:
        raise RunNotFinished(
            f"Run {record.id} is still {record.state}.", hint=f"End it first: `mnist-client cancel {record.id}`."
        )
    if record.state is RunState.SUCCEEDED and not is_forced:
        raise InvalidInput(
            f"Run {record.id} has succeeded: there is nothing to retry.",
            hint="Say --force to do it all again, or train it on with `mnist-client resume`.",
        )
    options = record.options
    return Wishes(tags=options.tags, priority=options.priority, retries=options.retries, retry_of=record.id)


def _send(store: RunStore, request: Request, options: SubmitOptions) -> Sent:
    submission = store.submit(request, options=options)
    return Sent(submission.run_id, submission.name, submission.position, submission.waits_for)


def _fingerprint(store: RunStore, request: Request, *, after: str | None) -> str | None:
    """None where the result is not decided yet: the last checkpoint of a run that still trains will be another one."""
    if isinstance(request, OnTarget) and request.target is not None and after != request.target:
        return fingerprint(request) if store.get(request.target).state.is_final else None
    return fingerprint(request)


def _check_leaves_a_checkpoint(request: Request) -> None:
    if not isinstance(request, Training):
        raise InvalidInput("--then evaluate: this trains nothing.", hint="Leave --then out.")
    if request.config.dry_run or not request.config.save_model:
        why = "a dry run saves nothing" if request.config.dry_run else "--no-save-model leaves no checkpoint"
        raise InvalidInput(f"--then evaluate: {why}.", hint="Leave one of the two out.")
