"""What keeps the records whole: take back, wake up, restore, forget."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mnist_shared.contracts.run_names import random_run_name
from mnist_shared.contracts.runs import RunState
from mnist_shared.storage.connection import OPERATOR
from mnist_shared.storage.lua import Scripted
from mnist_shared.storage.submissions import what_is_asked, what_is_indexed

if TYPE_CHECKING:
    from mnist_shared.storage.archive import Archive

ORPHAN_SECONDS = 5.0  # its message gone for so long and not claimed: woken up again; a claim takes milliseconds
MAX_ATTEMPTS = 5  # without a new checkpoint
REAP_LIMIT = 100  # runs in one call: a script should be brief
PRUNE_LIMIT = 500


@dataclass(frozen=True)
class Reaped:
    run_id: str
    action: Literal["requeued", "cancelled", "failed", "woken"]


class Upkeep(Scripted):
    """The operators' side of the run store, most of it done by every worker."""

    def reap(self) -> list[Reaped]:
        """Take back the runs whose lease ran out, and wake up those whose message was lost."""
        silence_ms, orphan_ms = round(self.silence_seconds * 1000), round(ORPHAN_SECONDS * 1000)
        answer = self._call("reap", self.lease_ms, orphan_ms, MAX_ATTEMPTS, silence_ms, REAP_LIMIT)
        return [Reaped(run_id, action) for run_id, action in answer]

    def restore(self, archive: "Archive", *, attempt: int, written_ms: int) -> bool:
        """Make a record again from what the volume keeps of its run; false when there is one.

        `attempt` is the newest that left a trace, `written_ms` stands in for a time of submission that is not known. A
        name that another run has taken meanwhile gets a number.
        """
        run_file, last = archive.run_file, archive.finished
        progress, checkpoint = archive.progress, archive.checkpoint
        events = archive.events if last else []
        name = run_file.options.name or random_run_name()
        answer = self._call(
            "restore",
            run_file.id,
            *what_is_asked(run_file.id, run_file.request, run_file.options, name),
            *what_is_indexed(run_file.request, run_file.options),
            last.state if last else RunState.QUEUED,
            attempt,
            events[0].milliseconds if events else written_ms,
            events[-1].milliseconds if events else "",
            progress.model_dump_json() if progress else "",
            checkpoint.model_dump_json() if checkpoint else "",
            last.result.model_dump_json() if last and last.result else "",
            last.error.model_dump_json() if last and last.error else "",
            *(part for told in events for part in (told.id, told.event.model_dump_json())),
            role=OPERATOR,
        )
        return bool(answer[0] == "restored")

    def prune(self, *, keep_days: float) -> list[str]:
        """Forget the records and streams of runs that ended more than `keep_days` ago; their files stay."""
        return list(self._call("prune", round(keep_days * 86_400_000), PRUNE_LIMIT))
