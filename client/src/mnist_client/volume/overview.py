"""What each run keeps on the volume."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mnist_client.context import CommandContext
from mnist_client.volume.checkpoint_files import CheckpointFile, inspect
from mnist_client.volume.sight import run_ids
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.storage.serving import read_records
from mnist_shared.volume.run_folder import RunFolder

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class RunSummary:
    """The checkpoints of one run."""

    run_id: str
    name: str  # empty: not known
    state: str  # empty: its record is gone
    files: list[CheckpointFile]  # the newest first

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)

    @property
    def written_at(self) -> datetime:
        return max((file.written_at for file in self.files if file.written_at is not None), default=LONG_AGO)


def summaries(context: CommandContext, *, verify: bool) -> list[RunSummary]:
    """The runs that have checkpoints, those with the newest first.

    Raises:
        VolumeError: the volume cannot be read.
        BrokerUnreachable: the broker cannot say what became of the runs.
    """
    files = {
        run_id: inspect(RunFolder(context.settings.runs_dir, run_id).checkpoints, verify=verify)
        for run_id in run_ids(context)
    }
    records = read_records(context.store, list(files))
    found = [_summary(run_id, files[run_id], records.get(run_id)) for run_id in files if files[run_id]]
    return sorted(found, key=lambda run: run.written_at, reverse=True)


def _summary(run_id: str, files: list[CheckpointFile], record: RunRecord | None) -> RunSummary:
    name, state = (record.options.name or "", str(record.state)) if record is not None else ("", "")
    return RunSummary(run_id, name=name, state=state, files=files)
