"""What a process that trains sets before it loads torch. Imports no torch."""

from mnist_shared.training.allocator import raise_malloc_thresholds
from mnist_shared.training.spinning import limit_spinning


def prepare_process() -> None:
    """Tell the C library and OpenMP how torch will use them; both listen once, before torch is loaded."""
    raise_malloc_thresholds()
    limit_spinning()
