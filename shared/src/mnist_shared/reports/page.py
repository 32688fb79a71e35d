"""report.html: one file with all in it, for light and dark screens. No script, nothing loaded from elsewhere."""

import base64
import struct
import zlib
from collections.abc import Iterable
from html import escape

import numpy as np
from numpy.typing import NDArray

from mnist_shared.contracts.reports import Calibration, EvaluationReport, Mistake

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #616e7c; --line: #d5dbe1; --page: #fff; --card: #f6f8fa;
  --blue: 37 99 235; --red: 220 53 38; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b1; --line: #323c48; --page: #14181d;
  --card: #1c222a; --blue: 96 150 255; --red: 255 107 92; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
p.sub, .note { color: var(--soft); margin: 0 0 1rem; } .note { font-size: .9rem; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; }
dl.facts div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
dd small { font-size: .8rem; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; } th { font-weight: 600; color: var(--soft); }
table.plain tr + tr td, table.plain tr + tr th { border-top: 1px solid var(--line); }
table.matrix td { min-width: 3rem; text-align: center; border: 1px solid var(--page); border-radius: .25rem; }
table.matrix td.none { color: var(--line); }
.digits { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr)); gap: .75rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem; }
figure img { width: 100%; image-rendering: pixelated; background: #000; border-radius: .25rem; display: block; }
figcaption { font-size: .85rem; padding-top: .4rem; color: var(--soft); } figcaption b { color: rgb(var(--red)); }
svg { max-width: 100%; height: auto; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
"""


def report_page(
    report: EvaluationReport, images: NDArray[np.uint8], *, title: str, facts: Iterable[tuple[str, str]] = ()
) -> str:
    """The page.

    Args:
        report: its figures.
        images: uint8 [N, 28, 28], the whole test set.
        title: what was evaluated.
        facts: further labels and values for the head of the page.
    """
    low, high = 100 * report.interval.low, 100 * report.interval.high
    head = [
        ("accuracy", f"{100 * report.accuracy:.2f}% <small>{report.correct} of {report.total}</small>"),
        ("95 % interval", f"{low:.2f} \N{EN DASH} {high:.2f}%"),
        ("average loss", f"{report.average_loss:.4f}"),
        ("calibration error (ECE)", f"{100 * report.calibration.expected_error:.2f}%"),
        *((escape(label), escape(value)) for label, value in facts),
    ]
    cards = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in head)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1><p class="sub">{escape(report.dataset)}, {report.total:,} test images</p>
<dl class="facts">{cards}</dl>
<h2>Confusion matrix</h2><p class="note">Rows are labels, columns are answers.</p>{_matrix(report)}
<h2>Most confused</h2>{_pairs(report)}
<h2>Worst mistakes</h2><p class="note">Those in which the right answer got the least probability first.</p>
<div class="digits">{"".join(_mistake(one, images[one.index]) for one in report.mistakes) or "None."}</div>
<h2>Classes</h2>{_classes(report)}
<h2>Calibration</h2><p class="note">How often an answer is right, against the probability that it was given with.
The number at a point is that of its images.</p>{_calibration(report.calibration)}
</body></html>
"""


def _matrix(report: EvaluationReport) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in report.classes)
    worst = max(
        (count / max(sum(row), 1) for n, row in enumerate(report.confusion) for m, count in enumerate(row) if n != m),
        default=0.0,
    )
    rows = []
    for number, (name, row) in enumerate(zip(report.classes, report.confusion, strict=True)):
        cells = []
        for answer, count in enumerate(row):
            share = count / max(sum(row), 1)
            if answer == number:
                cells.append(f'<td style="background: rgb(var(--blue) / {0.15 + 0.6 * share:.2f})">{count}</td>')
            elif count:
                weight = 0.1 + 0.55 * share / worst
                cells.append(f'<td style="background: rgb(var(--red) / {weight:.2f})">{count}</td>')
            else:
                cells.append('<td class="none">0</td>')
        rows.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="matrix"><tr><th></th>{top}</tr>{"".join(rows)}</table></div>'


def _pairs(report: EvaluationReport) -> str:
    if not report.confused_pairs:
        return "<p>None: every answer was right.</p>"
    rows = "".join(
        f"<tr><td>{escape(pair.label)}</td><td>{escape(pair.predicted)}</td><td>{pair.count}</td>"
        f"<td>{100 * pair.share:.2f}%</td></tr>"
        for pair in report.confused_pairs
    )
    return (
        '<div class="wide"><table class="plain"><tr><th>label</th><th>taken for</th><th>times</th>'
        f"<th>of that label</th></tr>{rows}</table></div>"
    )


def _classes(report: EvaluationReport) -> str:
    rows = "".join(
        f"<tr><th>{escape(one.label)}</th><td>{100 * one.precision:.2f}%</td><td>{100 * one.recall:.2f}%</td>"
        f"<td>{100 * one.f1:.2f}%</td><td>{one.support}</td></tr>"
        for one in report.per_class
    )
    return (
        '<div class="wide"><table class="plain"><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th>'
        f"<th>support</th></tr>{rows}</table></div>"
    )


def _mistake(mistake: Mistake, image: NDArray[np.uint8]) -> str:
    source = base64.b64encode(grey_png(image)).decode()
    return (
        f'<figure><img alt="test image {mistake.index}" src="data:image/png;base64,{source}"><figcaption>'
        f"{escape(mistake.label)} taken for <b>{escape(mistake.predicted)}</b> ({100 * mistake.probability:.0f}%)"
        f"<br>image {mistake.index}</figcaption></figure>"
    )


def _calibration(calibration: Calibration) -> str:
    size, left, bottom = 320, 44, 36

    def x(value: float) -> float:
        return left + value * size

    def y(value: float) -> float:
        return 10 + (1 - value) * size

    points = [(one.confidence or 0.0, one.accuracy or 0.0, one.count) for one in calibration.bins if one.count]
    ticks = "".join(
        f'<line x1="{x(t):.0f}" y1="{y(0)}" x2="{x(t):.0f}" y2="{y(1)}" stroke="var(--line)"/>'
        f'<line x1="{x(0)}" y1="{y(t):.0f}" x2="{x(1)}" y2="{y(t):.0f}" stroke="var(--line)"/>'
        f'<text x="{x(t):.0f}" y="{y(0) + 16}" text-anchor="middle">{t:g}</text>'
        f'<text x="{left - 6}" y="{y(t) + 4:.0f}" text-anchor="end">{t:g}</text>'
        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    line = " ".join(f"{x(confidence):.1f},{y(accuracy):.1f}" for confidence, accuracy, _ in points)
    dots = "".join(
        f'<circle cx="{x(confidence):.1f}" cy="{y(accuracy):.1f}" r="4" fill="rgb(var(--blue))"/>'
        f'<text x="{x(confidence) - 7:.1f}" y="{y(accuracy) - 6:.1f}" text-anchor="end">{count}</text>'
        for confidence, accuracy, count in points
    )
    width, height = left + size + 12, size + bottom + 18
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="calibration">'
        f'{ticks}<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="var(--soft)" stroke-dasharray="5 4"/>'
        f'<polyline points="{line}" fill="none" stroke="rgb(var(--blue))" stroke-width="2"/>{dots}'
        f'<text x="{x(0.5)}" y="{height - 4}" text-anchor="middle">confidence</text></svg>'
    )


def grey_png(image: NDArray[np.uint8]) -> bytes:
    """A grey picture, uint8 [H, W], as a PNG file (https://www.w3.org/TR/png-3/): small enough to need no library."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    height, width = image.shape
    lines = b"".join(b"\x00" + row.tobytes() for row in np.ascontiguousarray(image))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
