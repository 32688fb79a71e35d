"""Whose checkpoints may be tidied: those of runs that have ended, and from which no other is about to start."""

from mnist_client.context import CommandContext
from mnist_client.volume.sight import HOW_TO_SHARE, find_training_folder, run_ids
from mnist_shared.contracts.requests import OnTarget, ResumeRequest, VerifyRequest
from mnist_shared.contracts.runs import RunRecord, RunState
from mnist_shared.errors import RunNotFinished, VolumeError
from mnist_shared.volume.run_folder import RunFolder

UNFINISHED = frozenset({RunState.QUEUED, RunState.RUNNING})
ALL = 1_000_000  # runs at once


def ended_folders(context: CommandContext, names: list[str] | None, *, everything: bool) -> list[RunFolder]:
    """The folders that may be tidied: of the named runs, or of all. `everything`: the last checkpoint would go too.

    Raises:
        RunNotFound: a named run has neither record nor folder.
        RunNotFinished: a named one has not ended, or another still needs it.
        VolumeError: there is no volume here.
    """
    # Folders first: a run that begins after this look is not among them.
    folders = [find_training_folder(context, name)[0] for name in dict.fromkeys(names or ())]
    if not names:
        folders = [RunFolder(context.settings.runs_dir, run_id) for run_id in sorted(run_ids(context))]
        if not folders and context.store.count():
            raise VolumeError(f"There is no run in {context.settings.runs_dir}.", hint=HOW_TO_SHARE)
    living = context.store.search(states=UNFINISHED, count=ALL, on_unreadable=lambda _: None)
    busy = {record.id: f"it is {record.state}" for record in living}
    if everything:
        for record in living:
            for source in _sources(record):
                busy.setdefault(source, f"run {record.id} starts from them")
    for folder in folders:
        if names and folder.run_id in busy:
            raise RunNotFinished(
                f"The checkpoints of run {folder.run_id} are still needed: {busy[folder.run_id]}.",
                hint=f"Wait for it with `{context.command(f'wait {folder.run_id}')}`.",
            )
    return [folder for folder in folders if folder.run_id not in busy]


def _sources(record: RunRecord) -> list[str]:
    """The runs whose checkpoints this one starts from."""
    request = record.request
    found = [request.parent] if isinstance(request, ResumeRequest | VerifyRequest) and request.parent else []
    return [*found, request.target] if isinstance(request, OnTarget) and request.target is not None else found
