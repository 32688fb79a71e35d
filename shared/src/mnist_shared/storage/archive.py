"""What the volume keeps of a run that has ended: `run.json`, written by its first attempt, and `events.jsonl`.

Redis may lose everything and the finished work is still there; `reindex` makes records of it again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter

from mnist_shared.contracts.base import Document, read_document
from mnist_shared.contracts.events import CheckpointSaved, Finished, RunEvent
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.runs import RUN_FILE, CheckpointRef, Progress, RunFile
from mnist_shared.errors import ContractError
from mnist_shared.storage.events import ToldEvent
from mnist_shared.volume.files import sync_soon
from mnist_shared.volume.run_folder import RunFolder


class ArchivedEvent(Document):
    """A line of events.jsonl: an event, and the stream id that bears its time."""

    id: str
    event: RunEvent


_EVENT_LINE = TypeAdapter(ArchivedEvent)


@dataclass(frozen=True)
class Archive:
    """A run as its folder tells it."""

    run_file: RunFile
    events: list[ToldEvent]  # the last one is Finished; none when the run has not ended

    @property
    def finished(self) -> Finished | None:
        """How it ended."""
        last = self.events[-1].event if self.events else None
        return last if isinstance(last, Finished) else None

    @property
    def progress(self) -> Progress | None:
        """How far it came."""
        progress: Progress | None = None
        for told in self.events:
            progress = advance(progress, told.event)
        return progress

    @property
    def checkpoint(self) -> CheckpointRef | None:
        """The last one that was told of."""
        saved = [told.event.checkpoint for told in self.events if isinstance(told.event, CheckpointSaved)]
        return saved[-1] if saved else None


def write_events(folder: RunFolder, told: Iterable[ToldEvent], last: Finished, *, attempt: int) -> None:
    """Write events.jsonl, whole or not at all. Raises OSError.

    It is on the disk itself moments later: nobody has to wait for that. Were the machine to lose power in between, the
    run counts as one that has not ended, at worst.
    """
    told = list(told)
    after = f"{int(told[-1].id.partition('-')[0]) + 1}-0" if told else "1-0"
    lines = [ArchivedEvent(id=one.id, event=one.event) for one in told] + [ArchivedEvent(id=after, event=last)]
    temporary = folder.events_file.with_name(f".events.jsonl.a{attempt:04d}")
    temporary.write_text("".join(line.model_dump_json() + "\n" for line in lines), encoding="utf-8")
    temporary.rename(folder.events_file)
    sync_soon(folder.events_file)


def read_archive(folder: RunFolder) -> Archive:
    """What the folder tells of its run.

    Raises:
        ContractError: run.json or events.jsonl is damaged, of another run, or of another version.
        OSError: there is no run.json, or it cannot be read.
    """
    run_file = read_document(RUN_FILE, folder.run_file.read_bytes(), what=str(folder.run_file))
    if run_file.id != folder.run_id:
        raise ContractError(
            f"{folder.run_file} is of run {run_file.id}.", hint="Put the folder back under its own name."
        )
    if not folder.events_file.exists():
        return Archive(run_file, [])
    lines = folder.events_file.read_text(encoding="utf-8").splitlines()
    entries = [
        read_document(_EVENT_LINE, line, what=f"{folder.events_file}, line {n}") for n, line in enumerate(lines, 1)
    ]
    return Archive(run_file, [ToldEvent(entry.id, entry.event) for entry in entries])
