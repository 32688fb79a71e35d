"""How long OpenMP's threads spin before they sleep. Imports no torch, which reads it once, when it is loaded."""

import os

# About as long as it takes to wake a thread that sleeps. Measured on 2 cores, ms a step of `--preset fast`, alone and
# beside a second trainer on the same cores: never (OMP_WAIT_POLICY=PASSIVE) 13.2 and 20; 2,000 turns 8.4 and 35;
# 30,000 turns 7.8 and 143; the default of libgomp, 300,000 turns, 8.1 and 53 with steps of 700.
SPIN_COUNT = "2000"


def limit_spinning() -> None:
    """Let a thread that waits for the others spin for microseconds, then sleep; a user's own setting goes first.

    A step has a hundred parallel parts of a tenth of a millisecond, and waking a thread for each costs half as much
    again. But a thread that spins on and on takes the core from the one it waits for, where more threads than cores
    want to run. For libgomp, which torch's packages for Linux bring; elsewhere it changes nothing.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
