"""The shared volume as this client sees it: a run's folder there, or in clear words why it is not to be had."""

from typing import TYPE_CHECKING

from mnist_client.context import CommandContext
from mnist_shared.contracts.names import RUN_ID_PATTERN, matches
from mnist_shared.errors import InvalidInput, RunNotFinished, RunNotFound, VolumeError
from mnist_shared.volume.run_folder import RunFolder

if TYPE_CHECKING:
    from mnist_shared.contracts.runs import RunRecord

NUM_WITNESSES = 20  # latest runs whose folders tell whether the volume is shared
GRACE_SECONDS = 5.0  # between a claim and the first file of its run
HOW_TO_SHARE = "Give the workers' storage folder, where it is mounted here, with --storage or MNIST_STORAGE_DIR."


def run_folder(context: CommandContext, record: "RunRecord") -> RunFolder:
    """The folder that holds the run's files.

    Raises:
        RunNotFinished: no worker has written a file of it.
        VolumeError: its worker did, but not where this client looks.
    """
    folder = RunFolder(context.settings.runs_dir, record.id)
    if folder.path.is_dir():
        return folder
    if record.attempt == 0:
        if record.state.is_final:
            raise RunNotFinished(
                f"Run {record.id} has left no files: no worker had begun it when it was {record.state}.",
                hint=f"See `{context.command(f'status {record.id}')}`.",
            )
        raise RunNotFinished(
            f"Run {record.id} is still queued: no worker has begun it.",
            hint=f"Follow it with `{context.command(f'follow {record.id}')}`.",
        )
    began = record.started_at or record.submitted_at
    if not record.state.is_final and (context.now() - began).total_seconds() < GRACE_SECONDS:
        raise RunNotFinished(f"Run {record.id} has just begun and has no files yet.", hint="Try again in a moment.")
    if is_shared(context):
        raise VolumeError(
            f"Run {record.id} has left no files in {folder.runs_dir}.",
            hint=f"They were removed, or its worker could not write: `{context.command(f'status {record.id}')}`.",
        )
    raise VolumeError(
        f"Run {record.id} was begun on {record.worker}, but {folder.path} does not exist: this client does not share "
        "the workers' volume.",
        hint=HOW_TO_SHARE,
    )


def is_shared(context: CommandContext) -> bool | None:
    """Whether the folders of the latest runs are to be seen here; None while there is no run to tell by."""
    began = [record for record in context.store.latest(NUM_WITNESSES, on_unreadable=lambda _: None) if record.attempt]
    if not began:
        return None
    return any(RunFolder(context.settings.runs_dir, record.id).path.is_dir() for record in began)


def find_training_folder(context: CommandContext, name: str) -> tuple[RunFolder, "RunRecord | None"]:
    """The folder of a training run, also of one whose record is gone: then by its id, or the beginning of it.

    Raises:
        RunNotFound: neither a record nor a folder.
        InvalidInput: several, or an evaluation, or no such name at all.
        RunNotFinished, VolumeError: there is a record, but no folder.
    """
    from mnist_client.lineage import find_training_run

    try:
        record = find_training_run(context.store, name)
    except RunNotFound:
        word = name.strip().lower()
        found = [run_id for run_id in run_ids(context) if run_id.startswith(word)] if word else []
        if not found:
            raise
        if len(found) > 1:
            raise InvalidInput(
                f"Several folders of runs begin with {word!r}: {', '.join(found[:3])}.", hint="Give more digits."
            ) from None
        return RunFolder(context.settings.runs_dir, found[0]), None
    return run_folder(context, record), record


def run_ids(context: CommandContext) -> list[str]:
    """The runs that have a folder on the volume, in no order; none where there is no volume.

    Raises:
        VolumeError: it cannot be read.
    """
    from mnist_shared.volume.files import volume_errors

    with volume_errors(context.settings.runs_dir):
        try:
            names = [path.name for path in context.settings.runs_dir.iterdir()]
        except FileNotFoundError:
            return []
    return [name for name in names if matches(name, RUN_ID_PATTERN)]
