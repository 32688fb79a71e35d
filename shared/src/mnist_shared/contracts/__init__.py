"""The documents that cross Redis and the shared volume: frozen, versioned, JSON. Only pydantic is needed."""
