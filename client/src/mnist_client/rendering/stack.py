"""What the terminal of `up` shows: where the stack is, what to type next, and the workers' own lines."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from mnist_client.rendering.output import Output
from mnist_client.rendering.wording import plural

COLOURS = ("cyan", "magenta", "blue", "yellow")
NEXT = ("doctor", "submit train --epochs 3 --follow", "status --watch", "evaluate last")


class StackNarrator:
    """Talks to stderr; with JSON, one line on stdout once all is ready. `command` makes a command line of its words."""

    def __init__(
        self, output: Output, *, workers: Sequence[str], command: Callable[[str], str], as_json: bool = False
    ) -> None:
        self._output, self._workers, self._command, self._as_json = output, workers, command, as_json
        self._colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(workers)}

    def say(self, text: str) -> None:
        with suppress(OSError):  # a closed terminal or pipe is no reason to end what runs here
            self._output.talk(text)

    def say_where(self, address: str, *, folder: str) -> None:
        self.say(f"server ready on {address}, data in {folder}")
        if self._workers:
            self.say(f"waiting for {plural(len(self._workers), 'worker')} to load the trainer ...")

    def say_ready(self) -> None:
        if self._as_json:
            with suppress(OSError):
                self._output.data(json.dumps({"state": "ready", "workers": list(self._workers)}))
        self.say(f"ready: {plural(len(self._workers), 'worker')}. In another terminal:")
        for words in NEXT:
            self.say(f"  {self._command(words)}")
        self.say("Ctrl-C here stops all of it; unfinished runs go on at the next `up`.")

    def pass_on(self, worker: str, line: str) -> None:
        """A line that a worker has written."""
        if line.strip():
            self.say(f"{self._output.paint(f'{worker} |', sys.stderr, fg=self._colours[worker])} {line}")
