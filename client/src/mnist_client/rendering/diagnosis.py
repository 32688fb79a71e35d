"""Findings as lines, as they are made."""

import textwrap

from mnist_client.diagnosis.finding import Finding, Status
from mnist_client.rendering.output import Paper, one_line
from mnist_client.rendering.palette import BAD, GOOD, NOTICE

WORDS: dict[Status, str] = {"ok": "ok", "warning": "warning", "broken": "broken"}
COLOURS: dict[Status, str] = {"ok": GOOD, "warning": NOTICE, "broken": BAD}
STATUS_WIDTH, CHECK_WIDTH = 9, 12


def finding_lines(finding: Finding, *, paper: Paper) -> list[str]:
    """How it is, which part, and what was found; under it what to do."""
    indent = " " * (STATUS_WIDTH + CHECK_WIDTH)
    width = None if paper.width is None else max(paper.width, len(indent) + 20)
    parts = [*_wrapped(finding.text, width, len(indent))]
    status = paper.paint(WORDS[finding.status], fg=COLOURS[finding.status], bold=finding.status != "ok")
    padding = " " * (STATUS_WIDTH - len(WORDS[finding.status]))
    lines = [status + padding + finding.check.ljust(CHECK_WIDTH) + parts[0]]
    lines += [indent + part for part in parts[1:]]
    if finding.hint:
        arrow = "→ " if paper.is_unicode else "> "
        hints = _wrapped(finding.hint, width, len(indent) + len(arrow))
        lines.append(indent + arrow + hints[0])
        lines += [indent + " " * len(arrow) + hint for hint in hints[1:]]
    return lines


def _wrapped(text: str, width: int | None, taken: int) -> list[str]:
    text = one_line(text)
    return [text] if width is None else textwrap.wrap(text, width - taken, break_on_hyphens=False) or [""]
