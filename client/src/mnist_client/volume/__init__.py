"""The shared volume as a client reads it: logs, checkpoints, and what may be removed. Loads no torch."""
