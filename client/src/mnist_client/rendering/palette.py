"""The colours: of the 16 that each terminal has, those that can be read on black and on white alike.

Bright white, black, bright black and yellow vanish on one or the other ground; blue does on black. A colour only ever
repeats what a word or a shape says already.
"""

from mnist_shared.contracts.runs import RunState

GOOD = "green"
BAD = "red"
NOTICE = "magenta"  # not wrong, but to be noticed: a recovery, a warning, an end that somebody wished
ACTIVE = "cyan"  # shapes and short words only: thin text in it is weak on white

STATE_COLOURS: dict[RunState, str | None] = {
    RunState.QUEUED: None,
    RunState.RUNNING: ACTIVE,
    RunState.SUCCEEDED: GOOD,
    RunState.FAILED: BAD,
    RunState.CANCELLED: NOTICE,
}
