"""Draw docs/accuracy.png: test accuracy against seconds, from benchmarks/accuracy.json. Needs matplotlib.

pip install -r benchmarks/requirements.txt && python -m benchmarks.plot [--output FILE]
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from benchmarks.accuracy import read

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "accuracy.png"
# Colours that stay apart for colour-blind readers (Okabe and Ito).
LOOKS = {
    "script": ("pytorch/examples mnist/main.py", "#777777", "s"),
    "reference": ("--preset reference", "#0072B2", "o"),
    "fast": ("--preset fast", "#D55E00", "D"),
    "accurate": ("--preset accurate", "#009E73", "^"),
}


def draw(runs: list[dict[str, Any]], *, output: Path) -> None:
    """One line a seed, one mark at each preset's end: its mean."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullFormatter

    pyplot.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = pyplot.subplots(figsize=(9, 5), facecolor="white")
    for preset, (label, colour, marker) in LOOKS.items():
        group = [run for run in runs if run["preset"] == preset and run["dataset"] == "mnist"]
        if not group:
            continue
        for run in group:
            seconds = [point["seconds"] for point in run["points"]]
            accuracy = [100 * point["accuracy"] for point in run["points"]]
            axes.plot(seconds, accuracy, color=colour, alpha=0.45, linewidth=1.2, marker=".", markersize=5)
        end = [statistics.mean(run["points"][-1][key] for run in group) for key in ("seconds", "accuracy")]
        name = f"{label}: {end[1]:.2%} in {end[0]:.0f} s"
        axes.plot(end[0], 100 * end[1], marker, color=colour, markersize=10, label=name, linestyle="none")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    lowest = min(100 * run["points"][0]["accuracy"] for run in runs if run["dataset"] == "mnist")
    axes.set_ylim(bottom=max(98.0, lowest - 0.05))
    axes.set_xlabel("seconds of training and testing (logarithmic)")
    axes.set_ylabel("test accuracy, %")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=2, frameon=False, fontsize=12)
    devices = sorted({f"{run['device']}, {run['threads']} threads" for run in runs if run["dataset"] == "mnist"})
    axes.set_title(f"MNIST on {' and '.join(devices)}: a line a seed, a mark at the mean end", fontsize=13, loc="left")
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    runs = read()
    if not any(run["dataset"] == "mnist" for run in runs):
        parser.error("benchmarks/accuracy.json holds no runs on MNIST; run python -m benchmarks.accuracy")
    draw(runs, output=output)
    print(output)


if __name__ == "__main__":
    main()
