"""The shared volume: where a run's files lie, whole files or none, which checkpoints there are. Loads no torch."""
