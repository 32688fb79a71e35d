"""The CNN trainer: contracts, torch and the shared volume. It knows no queue: it is handed its callbacks."""
