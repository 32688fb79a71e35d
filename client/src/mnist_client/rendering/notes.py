"""What a row of the table has to say beside its columns: why a run failed or waits, and what to type next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mnist_client.rendering import palette
from mnist_client.rendering.next_steps import remedy
from mnist_client.rendering.output import Paper, one_line
from mnist_client.rendering.table import GAP, cell_width, shortened
from mnist_client.rendering.wording import failure
from mnist_shared.contracts.runs import RunRecord, RunState

INDENT = GAP * 2
MIN_REASON = 40  # columns; a reason with less room beside its command has a line of its own
RESTLESS_ATTEMPTS = 2  # without a new checkpoint: worth a word


@dataclass(frozen=True)
class Note:
    """The reason, and after it the command that helps, after `mnist-client`."""

    reason: str
    words: str = ""
    fg: str | None = None

    def text(self, command: Callable[[str], str]) -> str:
        return f"{self.reason}{self._gap}{command(self.words)}" if self.words else self.reason

    @property
    def _gap(self) -> str:
        return " Next: " if self.reason.endswith((".", "!", "?")) else ". Next: "

    def lines(self, paper: Paper, command: Callable[[str], str]) -> list[str]:
        """Below its row: one line, or two where reason and command do not fit on one."""
        assert paper.width is not None
        room = paper.width - len(INDENT)
        if not self.words:
            return [INDENT + paper.paint(shortened(self.reason, room, ellipsis=paper.ellipsis), fg=self.fg)]
        typed = command(self.words)
        if len(typed) > room - len("Next: "):
            typed = f"mnist-client {self.words}"  # the flags that reach the broker are known to whoever gave them
        beside = room - len(self._gap) - len(typed)
        if cell_width(self.reason) <= beside or beside >= MIN_REASON:
            reason = shortened(self.reason, beside, ellipsis=paper.ellipsis)
            return [INDENT + paper.paint(reason, fg=self.fg) + self._gap + typed]
        reason = shortened(self.reason, room, ellipsis=paper.ellipsis)
        shown = shortened(f"Next: {typed}", room, ellipsis=paper.ellipsis)
        return [INDENT + paper.paint(reason, fg=self.fg), INDENT + shown]


def note_of(record: RunRecord, *, names: Mapping[str, str]) -> Note | None:
    """`names`: of the runs that others wait for, by id."""
    error = record.error
    if record.state is RunState.FAILED and error is not None:
        return Note(one_line(failure(error)), remedy(record), palette.BAD)
    if record.state is RunState.CANCELLED and error is not None:
        return Note(one_line(failure(error)), remedy(record), palette.NOTICE)
    if record.state is RunState.QUEUED and record.waits_for is not None:
        name = names.get(record.waits_for)
        return Note(f"waits for {name} ({record.waits_for})" if name else f"waits for {record.waits_for}")
    if not record.state.is_final and error is not None:
        retry = f" failed, retry {record.failures} of {record.options.retries}" if record.failures else ""
        return Note(f"attempt {error.attempt}{retry}: {one_line(error.message)}", fg=palette.NOTICE)
    if not record.state.is_final and record.attempts_without_checkpoint >= RESTLESS_ATTEMPTS:
        reason = f"{record.attempts_without_checkpoint} attempts without a new checkpoint"
        return Note(reason, f"logs {record.id}", palette.NOTICE)
    return None
