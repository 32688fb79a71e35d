"""`python -m tests.soak`: prints its seed first and its verdict last; the exit code says the same (0: PASS)."""

import argparse
import random
import signal
import sys

from tests.soak.scale import soak_scale
from tests.soak.training import soak_training


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--mode", choices=("train", "scale"), default="train")
    parser.add_argument("--seconds", type=float, default=600.0, help="about how long (scale: at most) [600]")
    parser.add_argument("--seed", type=int, default=None, help="of every choice; else a new one")
    parser.add_argument("--workers", type=int, default=None, help="[4; scale: 8]")
    parser.add_argument("--runs", type=int, default=10_000, help="of the scale mode [10000]")
    parser.add_argument("--lease", type=float, default=3.0, help="MNIST_LEASE_SECONDS [3]")
    parser.add_argument("--keep", action="store_true", help="keep logs and volume, whatever the verdict")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))  # an exception, so that every child is cleaned up
    try:
        if options.mode == "scale":
            return soak_scale(
                num_runs=options.runs,
                seconds=options.seconds,
                seed=seed,
                num_workers=options.workers or 8,
                lease_seconds=options.lease,
                keeps=options.keep,
            )
        return soak_training(
            seconds=options.seconds,
            seed=seed,
            num_workers=options.workers or 4,
            lease_seconds=options.lease,
            keeps=options.keep,
        )
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
