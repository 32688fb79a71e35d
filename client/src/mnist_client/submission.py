"""Send a request, say what became of it, and stay with the run where that is wished."""

import json
import sys

from mnist_client import exits
from mnist_client.context import CommandContext
from mnist_shared.contracts.requests import Request
from mnist_shared.storage.runs import Submission


def submit(context: CommandContext, request: Request, *, what: str = "submitted as {}") -> Submission:
    """Send the request; tell a human where in the queue it is, and when nobody serves the queue."""
    from mnist_client.rendering.wording import queue_place

    submission = context.store.submit(request)
    place = "already started" if submission.position is None else queue_place(submission.position)
    context.output.talk(f"{what.format(submission.run_id)}, {place}")
    if not context.quiet and (absence := context.absence()):
        context.output.warn(absence)
    return submission


def send(context: CommandContext, request: Request, *, follow: bool, wait: bool) -> int:
    """Send the request and print the run's id; then follow it or wait for it. Returns the exit code.

    stdout holds the id and nothing else: what is followed goes to stderr. With --json it is one object a line: the
    submission, then the events (`--follow`) or the record at the end (`--wait`).
    """
    submission = submit(context, request)
    run_id = submission.run_id
    if context.json:
        context.output.data(json.dumps({"id": run_id, "kind": request.kind, "position": submission.position}))
    else:
        context.output.data(run_id)
    if follow:
        from mnist_client.waiting import follow_and_show

        return follow_and_show(context, run_id, stream=sys.stdout if context.json else sys.stderr)
    if wait:
        return _wait(context, run_id)
    for words in (f"follow {run_id}", f"status {run_id}", f"cancel {run_id}"):
        context.output.talk(f"  {context.command(words)}")
    return exits.OK


def _wait(context: CommandContext, run_id: str) -> int:
    from mnist_client.rendering.wording import failure, outcome
    from mnist_client.waiting import detached, wait_for_end

    try:
        code = wait_for_end(context, run_id)
    except KeyboardInterrupt:
        return detached(context, run_id)
    assert code is not None
    record = context.store.get(run_id)
    if context.json:
        context.output.data(record.model_dump_json())
    elif record.error is not None and code == exits.FAILED:
        context.output.error(f"Run {run_id} failed. {failure(record.error)}")
    else:
        context.output.talk(f"{record.state}{': ' + outcome(record.result) if record.result else ''}")
    return code
