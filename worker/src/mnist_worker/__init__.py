"""The Celery worker that executes runs."""

__version__ = "0.1.0"
