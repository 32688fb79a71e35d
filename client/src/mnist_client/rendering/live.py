"""`follow` on a terminal: lines that stay, and under them what goes on right now."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self, TextIO

from mnist_client.following import ConnectionBack, ConnectionLost, Heard, Quiet
from mnist_client.prospects import Prospect
from mnist_client.rendering import palette
from mnist_client.rendering.follow import FollowView, Inheritance, prospect_words
from mnist_client.rendering.live_region import LiveRegion
from mnist_client.rendering.output import Output, Paper, is_unicode, one_line_kept
from mnist_client.rendering.progress_lines import ProgressLines
from mnist_shared.contracts.events import AttemptFailed, AttemptLost, HandedBack
from mnist_shared.contracts.runs import RunRecord
from mnist_shared.storage.events import ToldEvent


class LiveView(FollowView):
    """Recoveries are told once the run goes on; until then the line below says so."""

    def __init__(
        self, record: RunRecord, output: Output, *, stream: TextIO, inheritance: Inheritance | None = None
    ) -> None:
        super().__init__(record, output, stream=stream, inheritance=inheritance)
        self._obstacle: str | None = None
        self._progress = ProgressLines(
            is_unicode=is_unicode(stream), inherited=inheritance.epochs if inheritance else ()
        )
        self._region = LiveRegion(stream, self._lines)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._region)
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._progress.clear()
        self._stack.close()

    def show(self, heard: Heard) -> None:
        match heard:
            case ToldEvent(event=event):
                self._progress.advance(event)
                super().show(heard)
                if isinstance(event, AttemptLost | HandedBack | AttemptFailed):
                    self.waits_with = f"{self.recovery_words(event)}; "
                    self._progress.wait(f"{self.waits_with}waiting for a worker")
                return
            case Quiet():
                return
            case ConnectionLost():
                self._progress.wait("waiting for the broker")
            case ConnectionBack():
                self._progress.clear()
        super().show(heard)

    def show_prospect(self, prospect: Prospect) -> None:
        if prospect.obstacle and prospect.obstacle != self._obstacle:
            self.note(prospect.obstacle)
        self._obstacle = prospect.obstacle
        if words := prospect_words(prospect):
            self._progress.wait(f"{self.waits_with}{words}")

    def note(self, text: str) -> None:
        self._print(text, fg=palette.NOTICE)

    def _lines(self, width: int) -> list[str]:
        colors = self.output.colors(self.stream)
        return self._progress.lines(Paper(width=width, colors=colors, is_unicode=is_unicode(self.stream)))

    def _print(self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> None:
        self._region.print(self.output.paint(one_line_kept(text), self.stream, fg=fg, bold=bold, dim=dim))
