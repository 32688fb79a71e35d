"""What the client and the worker of the MNIST training queue have in common."""

__version__ = "0.1.0"
