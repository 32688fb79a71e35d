"""A command in a pseudo-terminal, as its user sees it."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """The process has the pseudo-terminal as its controlling one: a typed Ctrl-C reaches it as a signal."""

    def __init__(self, arguments: list[str], *, environment: dict[str, str], columns: int, rows: int = 40) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.columns, self.raw = columns, ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # a letter may come in two pieces
        self.process = subprocess.Popen(
            arguments,
            env={"TERM": "xterm-256color"} | {k: v for k, v in environment.items() if k not in ("COLUMNS", "LINES")},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    @property
    def text(self) -> str:
        """All that was written, escape sequences taken out."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """The lines, each overwriting of one as a line of its own."""
        return [line for line in re.split(r"[\n\r]", self.text) if line]

    @property
    def frames(self) -> list[list[str]]:
        """What was drawn on the whole screen, one drawing after the other: the lines of each."""
        drawings = re.findall(r"\x1b\[\?2026h(.*?)\x1b\[\?2026l", self.raw, flags=re.DOTALL)
        return [ESCAPES.sub("", drawing).split("\r\n") for drawing in drawings]

    def resize(self, *, columns: int, rows: int = 40) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read_until(self, text: str, *, seconds: float = 20.0) -> str:
        """Read on until `text` has been written; all that was written so far."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} was not written within {seconds} s, but:\n{self.text}"
            assert self._read(), f"{text!r} was never written, but:\n{self.text}"
        return self.text

    def read_more(self) -> None:
        """Read what has been written meanwhile, within a moment; the end is a failure."""
        assert self._read(), f"it has ended:\n{self.text}"

    def finish(self, *, seconds: float = 20.0) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, f"it did not end within {seconds} s:\n{self.text}"
        code = self.process.wait(seconds)
        os.close(self.master)
        return code

    def _read(self) -> bool:
        """False at the end."""
        if not select.select([self.master], [], [], 0.1)[0]:
            return True
        try:
            chunk = os.read(self.master, 65_536)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        self.raw += self._decode(chunk)
        return bool(chunk)
