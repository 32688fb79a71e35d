"""All that is to be known of one run, gathered from the broker and, where it is shared, from the volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mnist_client.family import Kin, family_of
from mnist_client.history import History, history_of
from mnist_client.prospects import Prospect, load_prospect
from mnist_shared.contracts.runs import CheckpointRef, RunRecord, RunState
from mnist_shared.errors import VolumeError

if TYPE_CHECKING:
    from mnist_client.context import CommandContext


@dataclass(frozen=True)
class Portrait:
    record: RunRecord
    history: History
    family: Kin
    now: datetime  # by the Redis server's clock
    checkpoints: Sequence[CheckpointRef] | None  # on the volume, the newest first; None: it is not to be seen from here
    ends: float | None = None  # seconds until a running run ends
    prospect: Prospect | None = None  # of a queued run


def load_portrait(context: "CommandContext", run_id: str) -> Portrait:
    """The run as it is now.

    Raises:
        RunNotFound: there is no such run.
    """
    record = context.store.get(run_id)
    now = context.now()
    is_queued = record.state is RunState.QUEUED
    return Portrait(
        record=record,
        history=history_of(context.events.replay(run_id)),
        family=family_of(context.store, record),
        now=now,
        checkpoints=_checkpoints(context, record),
        ends=_ends(context, record, now=now),
        prospect=load_prospect(context, record) if is_queued else None,
    )


def _checkpoints(context: "CommandContext", record: RunRecord) -> list[CheckpointRef] | None:
    from mnist_shared.volume.manifests import list_checkpoints
    from mnist_shared.volume.run_folder import RunFolder

    folder = RunFolder(context.settings.runs_dir, record.id)
    if not folder.path.is_dir():
        return None
    try:
        return list_checkpoints(folder.checkpoints)
    except VolumeError:
        return None


def _ends(context: "CommandContext", record: RunRecord, *, now: datetime) -> float | None:
    if record.state is not RunState.RUNNING:
        return None
    from mnist_client.overview import load_prospects

    return load_prospects(context, [record], workers=context.registry.present(), now=now).ends.get(record.id)
