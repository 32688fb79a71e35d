"""A worker's log lines: as they are, coloured by level, or as JSON."""

import json
from dataclasses import asdict
from typing import TextIO

from mnist_client.rendering.output import Output
from mnist_client.rendering.palette import BAD, NOTICE
from mnist_client.volume.log_file import LogLine, parse

LEVEL_COLOURS = {"WARNING": NOTICE, "ERROR": BAD, "CRITICAL": BAD}


class LogView:
    """Writes lines; what follows a line without a level of its own (a traceback) looks like it."""

    def __init__(self, output: Output, *, stream: TextIO, as_json: bool) -> None:
        self._output, self._stream, self._as_json = output, stream, as_json
        self._last = LogLine("")

    def show(self, lines: list[str]) -> None:
        """Show lines, whole ones. Flushed."""
        if not lines:
            return
        shown = [self._line(line) for line in lines]
        print("\n".join(shown), file=self._stream, flush=True)

    def _line(self, text: str) -> str:
        line = parse(_harmless(text))
        if line.level is None:
            last = self._last
            line = LogLine(line.text, at=last.at, level=last.level, worker=last.worker, attempt=last.attempt)
        self._last = line
        if self._as_json:
            return json.dumps(asdict(line))
        return self._output.paint(_harmless(text), self._stream, fg=LEVEL_COLOURS.get(line.level or ""))


def _harmless(text: str) -> str:
    """`text` without what a terminal would act upon; its spaces stay where they are."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
