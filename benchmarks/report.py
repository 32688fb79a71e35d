"""What a benchmark hands back, and how it is written: tables of medians with their spread, and the machine's words."""

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("mnist-shared", "torch", "celery", "kombu", "redis")


@dataclass(frozen=True)
class Table:
    """One topic's figures: what its own command prints and what the report writes."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]  # every cell as it is to be read; see `spread`, `ratio`
    notes: Sequence[str] = field(default=())  # one sentence each: how it was measured, what was left out


# ---- cells -----------------------------------------------------------------------------------------------------


def percentile(values: Iterable[float], percent: float) -> float:
    """The value below which `percent` of them lie, interpolated between neighbours."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values: Sequence[float], *, scale: float = 1.0, digits: int = 1) -> list[str]:
    """Four cells: median, 10th and 90th percentile, number of measurements. Header: SPREAD."""
    scaled = [value * scale for value in values]
    cells = [statistics.median(scaled), percentile(scaled, 10), percentile(scaled, 90)]
    return [f"{cell:,.{digits}f}" for cell in cells] + [f"{len(scaled):,}"]


SPREAD = ("median", "p10", "p90", "n")


def ratio(values: Sequence[float], to: Sequence[float]) -> str:
    """The ratio of the medians, with that of pairs taken one after the other where there are as many of both."""
    text = f"{statistics.median(values) / statistics.median(to):.2f}"
    if len(values) != len(to):
        return text
    pairs = [own / other for own, other in zip(values, to, strict=True)]
    return f"{text} (pair by pair {min(pairs):.2f} to {max(pairs):.2f})"


# ---- tables ----------------------------------------------------------------------------------------------------


def as_text(table: Table) -> str:
    """For a terminal: columns of equal width, all but the first to the right."""
    lines = [list(table.header), *(list(row) for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]

    def written(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([table.title, *(f"  {written(line)}" for line in lines), *(f"  {note}" for note in table.notes)])


def as_markdown(table: Table) -> str:
    """For the report."""
    bars = ["---", *("---:" for _ in table.header[1:])]
    lines = [f"| {' | '.join(line)} |" for line in (table.header, bars, *table.rows)]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"### {table.title}", "", *lines, *(["", *notes] if notes else [])])


def show(tables: Iterable[Table]) -> None:
    """Print them."""
    for table in tables:
        print(as_text(table), end="\n\n", flush=True)


def write(path: Path, where: Table, sections: Mapping[str, Sequence[Table]], *, seconds: float) -> None:
    """Write the report: where it was measured, then each section's tables."""
    parts = [
        "# Benchmark results",
        f"Written by `python -m benchmarks` in {seconds / 60:.1f} minutes. p10, p90: the 10th and 90th percentile; "
        "n: the number of measurements; what is compared took turns.",
        as_markdown(where),
    ]
    for heading, tables in sections.items():
        parts += [f"## {heading}", *(as_markdown(table) for table in tables)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


# ---- where it was measured -------------------------------------------------------------------------------------


def machine() -> Table:
    """The machine, its load when asked, and the versions of what was measured."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    rows = [
        ("CPU", f"{_from_file('/proc/cpuinfo', 'model name') or platform.machine()}, {os.cpu_count()} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"),
        ("device", _gpu() or "no GPU"),
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("load average at the start", f"{load} (1, 5, 15 min)"),
        ("versions", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    return Table("Machine", ("what", "which"), rows)


def _from_file(path: str, name: str) -> str | None:
    """The value of the first line `name : value`."""
    try:
        text = Path(path).read_text()
    except OSError:
        return None
    found = (line.partition(":")[2].strip() for line in text.splitlines() if line.partition(":")[0].strip() == name)
    return next(found, None)


def _gpu() -> str | None:
    """The CUDA device's name; asked of torch, which is loaded for it."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
