"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """How one part is; the hint says what to do where it is not well."""

    check: str
    status: Status
    text: str
    hint: str = ""


def ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def warning(check: str, text: str, hint: str) -> Finding:
    return Finding(check, "warning", text, hint)


def broken(check: str, text: str, hint: str) -> Finding:
    return Finding(check, "broken", text, hint)
