"""What two requests must have in common to end with the same result: a digest to find a finished run by."""

import hashlib
import json

from mnist_shared.contracts.requests import Request

# How a run is watched, kept and survived: none of it reaches the weights. The preset is only where values came from.
_WITHOUT_EFFECT = {"preset", "log_interval", "keep_last", "checkpoint_every_seconds", "resume"}


def fingerprint(request: Request) -> str | None:
    """SHA-256 over the fields of `request` that decide its result; None of a dry run, which leaves none.

    Equal fingerprints, data, device kind and thread count: equal weights. A field that is new counts until it is
    listed as without effect, so a newer version rather trains once more than takes a result for one that it is not.
    """
    if request.config.dry_run:
        return None
    document = request.model_dump(mode="json", exclude={"schema_version": True, "config": _WITHOUT_EFFECT})
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
