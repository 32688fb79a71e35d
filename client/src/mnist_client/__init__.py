"""The command-line client: submits runs, shows them, and starts an embedded stack. Never loads torch or Celery."""
