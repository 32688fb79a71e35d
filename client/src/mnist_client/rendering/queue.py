"""The queue in a few lines."""

from collections.abc import Sequence
from datetime import datetime

from mnist_client.rendering.output import Paper, one_line
from mnist_client.rendering.palette import BAD, NOTICE
from mnist_client.rendering.table import shortened
from mnist_client.rendering.wording import age, plural
from mnist_shared.storage.queue import Quarantined, QueueView

LABEL_WIDTH = 12
SHOWN = 80  # characters of a message in quarantine


def queue_lines(view: QueueView, quarantined: Sequence[Quarantined], *, now: datetime, paper: Paper) -> list[str]:
    """Depth by priority, what is running, what waits for another run; pause and quarantine where there are any."""
    facts: list[tuple[str, str, str | None]] = []
    if view.paused is not None:
        facts.append(("paused", f"for {_since(view.paused, now)}; nothing is begun until `queue resume`", NOTICE))
    facts.append(("waiting", _waiting(view, now=now), None))
    if view.blocked:
        facts.append(("blocked", f"{plural(view.blocked, 'run')} until another has succeeded", None))
    facts.append(("running", plural(view.running, "run"), None))
    if view.quarantined:
        facts.append(("quarantine", f"{plural(view.quarantined, 'message')} that no worker could take", BAD))
    lines = [paper.paint(label.ljust(LABEL_WIDTH), bold=True) + paper.paint(text, fg=fg) for label, text, fg in facts]
    for entry in quarantined:
        when = f"{age(now.timestamp() - entry.at_ms / 1000)} ago"
        text = (
            f"  {when}, {entry.worker}: {entry.reason}: {one_line(entry.beginning)[:SHOWN]} ({entry.num_bytes:,} bytes)"
        )
        lines.append(text if paper.width is None else shortened(text, paper.width, ellipsis=paper.ellipsis))
    return lines


def _waiting(view: QueueView, *, now: datetime) -> str:
    words = plural(view.waiting, "run")
    if len([count for count in view.by_priority.values() if count]) > 1 or view.waiting > view.by_priority["normal"]:
        words += f" ({', '.join(f'{count:,} {name}' for name, count in view.by_priority.items() if count)})"
    return words + (f"; the next one for {_since(view.oldest_queued_at, now)}" if view.oldest_queued_at else "")


def _since(moment: datetime, now: datetime) -> str:
    return age((now - moment).total_seconds())
