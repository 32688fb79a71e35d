"""Run state, events and worker announcements in Redis. Stands on the contracts; knows no torch."""
