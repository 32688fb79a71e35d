"""What every document has in common: frozen, strict, versioned; and the one way to read one from outside."""

import json
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mnist_shared.errors import ContractError

SCHEMA_VERSION: Final = 1
MAX_DOCUMENT_LENGTH: Final = 1_000_000  # a request has 1,000 characters, the longest report some 10,000


DEFERRED: Final = ConfigDict(defer_build=True)  # the same for a TypeAdapter of a union


class Contract(BaseModel):
    """A frozen record: no unknown fields, no silent conversion ("64" is not 64)."""

    # Validators are built when first used: a command imports all contracts, and needs a few.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Document(Contract):
    """A contract that is stored or sent on its own, and so says which schema it is written in."""

    schema_version: Literal[1] = SCHEMA_VERSION


T = TypeVar("T")


def read_document(adapter: TypeAdapter[T], text: str | bytes, *, what: str) -> T:
    """Parse JSON from outside into the type that `adapter` describes; `what` names the document in the error.

    Raises:
        ContractError: it is too long, is not JSON, is nested too deeply, is of another schema version, or has a field
            that is unknown, missing or wrong.
    """
    if len(text) > MAX_DOCUMENT_LENGTH:
        raise ContractError(
            f"{what} is {len(text):,} characters long.", hint=f"No document has more than {MAX_DOCUMENT_LENGTH:,}."
        )
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(
            f"{what} is not valid JSON.", hint="It is damaged, or was not written by this project."
        ) from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise ContractError(
            f"{what} has schema version {version!r}; this version reads {SCHEMA_VERSION}.",
            hint="Install the same version of mnist-shared on the client and on every worker.",
        )
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise ContractError(
            f"{what} is not valid: {describe(error)}.", hint="Client and worker may be of different versions."
        ) from error


def describe(error: ValidationError) -> str:
    """The first problem of a validation error in one line: `epochs: Input should be greater than 0, not 0`."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "missing"):
        return f"{where}: {first['msg'].lower()}"
    value = repr(first["input"])
    return f"{where or 'value'}: {first['msg']}, not {value if len(value) <= 60 else value[:57] + '...'}"
