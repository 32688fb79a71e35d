"""All benchmarks, within ten minutes on two cores, and their report.

    MNIST_DATA_DIR=... python -m benchmarks [--only NAME ...] [--peers PYTHON] [--output FILE]

Prints each table as it comes and writes them all to benchmarks/RESULTS.md, with the machine they were measured on. A
benchmark that fails leaves its reason in the report, and the exit code is 1.
"""

import argparse
import importlib
import importlib.util
import sys
import time
import traceback
from pathlib import Path

from benchmarks import client, memory, queue, step
from benchmarks.report import Table, machine, show, write

RESULTS = Path(__file__).with_name("RESULTS.md")
HEADINGS = {"training": "Training", "queue": "Queue", "client": "Client", "memory": "Memory"}  # by module


def measure(name: str, *, peers: str | None) -> list[Table]:
    """What the module of that name measures."""
    if name == "queue":
        return queue.measure(peers=peers)
    if name == "training" and importlib.util.find_spec("benchmarks.training"):
        return importlib.import_module("benchmarks.training").measure()
    return {"training": step.measure, "client": client.measure, "memory": memory.measure}[name]()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=HEADINGS, default=list(HEADINGS), metavar="NAME")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has rq and dramatiq")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    begun = time.monotonic()
    where = machine()
    show([where])
    sections: dict[str, list[Table]] = {}
    failed = False
    for name in options.only:
        started = time.monotonic()
        try:
            tables = measure(name, peers=options.peers)
        except Exception as error:
            # The edge of a benchmark: the others are worth having without it.
            traceback.print_exc()
            failed = True
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            tables = [Table("Failed", ("module", "reason"), [(name, reason)])]
        sections[f"{HEADINGS[name]} (python -m benchmarks.{name}, {time.monotonic() - started:.0f} s)"] = tables
        show(tables)
    write(options.output, where, sections, seconds=time.monotonic() - begun)
    print(f"written: {options.output}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
