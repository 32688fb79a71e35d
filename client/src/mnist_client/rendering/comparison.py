"""A comparison as text: what differs, what came of it, and the epochs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnist_client.comparison import Comparison, Fact
from mnist_client.rendering.output import Paper
from mnist_client.rendering.palette import GOOD
from mnist_client.rendering.table import GAP, cell_width, shortened
from mnist_client.rendering.wording import duration, percent, plural

UNKNOWN = "-"
BEST = "*"
MOST_EPOCHS = 30  # lines; of more epochs, some are left out
LABEL_WIDTH, VALUE_WIDTH = 20, 36  # at most


@dataclass(frozen=True)
class Row:
    """A label and a text for each run; those of `best` are marked."""

    label: str
    texts: Sequence[str]
    best: frozenset[int] = frozenset()


Section = tuple[str, list[Row]]  # a heading and what is under it


def comparison_lines(comparison: Comparison, *, paper: Paper) -> list[str]:
    """The whole of it; where not all runs fit side by side, in several blocks."""
    sections = [
        ("", [Row("", [curve.label for curve in comparison.curves]), *_identity(comparison)]),
        _differences("configuration", comparison.configuration),
        _differences("environment", comparison.environment),
        ("result", [_outcome_row(fact) for fact in comparison.outcome]),
        *([_epochs(comparison)] if comparison.epochs else []),
    ]
    lines: list[str] = []
    for numbers in _blocks(sections, num_runs=len(comparison.curves), paper=paper):
        lines += [""] if lines else []
        lines += _block(sections, numbers, paper=paper)
    return lines


def _identity(comparison: Comparison) -> list[Row]:
    records = [curve.record for curve in comparison.curves]
    ids = Row("run", [record.id for record in records])
    states = Row("state", [str(record.state) for record in records])
    return [ids, states] if any(curve.label != curve.record.id for curve in comparison.curves) else [states]


def _differences(name: str, facts: Sequence[Fact]) -> Section:
    """Those that differ; the others are counted, in the heading."""
    differing = [fact for fact in facts if fact.differs]
    if not facts:
        return f"{name}: not known", []
    if not differing:
        return f"{name}: the same ({_gist(facts)})", []
    rows = [Row(fact.name, [_value(value) for value in fact.values]) for fact in differing]
    return f"{name}: {len(differing)} of {plural(len(facts), 'value')} differ{'s' if len(differing) == 1 else ''}", rows


def _gist(facts: Sequence[Fact]) -> str:
    """What is worth naming where all is the same."""
    known = {fact.name: _value(fact.values[0]) for fact in facts}
    if "dataset" in known:
        return f"{known['dataset']}, {known['epochs']} epochs, seed {known['seed']}"
    parts = [known.get("device", ""), f"torch {known['torch']}" if "torch" in known else ""]
    return ", ".join(part for part in parts if part) or plural(len(facts), "value")


def _outcome_row(fact: Fact) -> Row:
    texts = [UNKNOWN if value is None else _outcome_words(fact.name, value) for value in fact.values]
    return Row("time" if fact.name == "seconds" else fact.name, texts, best=fact.winners)


def _outcome_words(name: str, value: Any) -> str:
    if name.endswith("accuracy"):
        return percent(value)
    if name == "seconds":
        return duration(value)
    return f"{value:.4f}" if name == "test loss" else f"{value:,.0f}" if name == "images/s" else str(value)


def _epochs(comparison: Comparison) -> Section:
    """Accuracy and loss on the test set; each run's best epoch is marked."""
    by_run = [{metrics.epoch: metrics for metrics in curve.epochs} for curve in comparison.curves]
    best = [curve.best.epoch if curve.best else None for curve in comparison.curves]
    every = -(-len(comparison.epochs) // MOST_EPOCHS)
    shown = [epoch for epoch in comparison.epochs if epoch % every == 0 or epoch in (*best, comparison.epochs[-1])]
    rows = []
    for epoch in shown:
        texts = []
        for known, best_epoch in zip(by_run, best, strict=True):
            metrics, star = known.get(epoch), BEST if epoch == best_epoch else " "
            texts.append(f"{percent(metrics.test_accuracy)}{star} {metrics.test_loss:.4f}" if metrics else "")
        rows.append(Row(f"{epoch}", texts))
    left_out = f", every {every}th" if every > 1 else ""
    return f"epochs{left_out}: test accuracy and loss", rows


def _value(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _blocks(sections: Sequence[Section], *, num_runs: int, paper: Paper) -> list[list[int]]:
    """The runs, as many at a time as fit side by side; one at least."""
    room = None if paper.width is None else paper.width - _label_width(sections)
    blocks: list[list[int]] = []
    taken = 0
    for number in range(num_runs):
        width = len(GAP) + _width(sections, number)
        if not blocks or (room is not None and taken + width > room):
            blocks.append([])
            taken = 0
        blocks[-1].append(number)
        taken += width
    return blocks


def _block(sections: Sequence[Section], numbers: list[int], *, paper: Paper) -> list[str]:
    label_width = _label_width(sections)
    widths = [_width(sections, number) for number in numbers]
    lines = []
    for heading, rows in sections:
        if heading:
            heading = heading if paper.width is None else shortened(heading, paper.width, ellipsis=paper.ellipsis)
            lines += ["", paper.paint(heading, bold=True)]
        for row in rows:
            if heading and not any(row.texts[number] for number in numbers):
                continue
            label = shortened(row.label, label_width - 2, ellipsis=paper.ellipsis)
            parts = [("  " + label if heading else label).ljust(label_width)]
            for number, width in zip(numbers, widths, strict=True):
                is_best = number in row.best
                text = shortened(row.texts[number], width - (2 if is_best else 0), ellipsis=paper.ellipsis)
                text += f" {BEST}" if is_best else ""
                painted = paper.paint(text, fg=GOOD if is_best else None, bold=is_best or not row.label)
                parts.append(painted + " " * (width - cell_width(text)))
            lines.append(GAP.join(parts).rstrip())
    return lines


def _label_width(sections: Sequence[Section]) -> int:
    return min(LABEL_WIDTH, 2 + max(len(row.label) for _, rows in sections for row in rows))


def _width(sections: Sequence[Section], number: int) -> int:
    texts = [cell_width(row.texts[number]) + 2 * (number in row.best) for _, rows in sections for row in rows]
    return min(VALUE_WIDTH, max(texts))
