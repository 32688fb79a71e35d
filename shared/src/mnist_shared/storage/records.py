"""A run record as it lies in its Redis hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mnist_shared.contracts.base import SCHEMA_VERSION, read_document
from mnist_shared.contracts.requests import REQUEST
from mnist_shared.contracts.runs import (
    RESULT,
    CheckpointRef,
    Progress,
    RunError,
    RunRecord,
    RunResult,
    RunState,
    SubmitOptions,
)
from mnist_shared.errors import ContractError

RECORD_FIELDS = [
    "schema_version",
    "id",
    "request",
    "options",
    "name",
    "state",
    "submitted_ms",
    "started_ms",
    "finished_ms",
    "attempt",
    "attempts_without_checkpoint",
    "failures",
    "waits_for",
    "worker",
    "cancel_requested",
    "progress",
    "checkpoint",
    "result",
    "error",
]

_PROGRESS = TypeAdapter(Progress)
_CHECKPOINT = TypeAdapter(CheckpointRef)
_ERROR = TypeAdapter(RunError)
_OPTIONS = TypeAdapter(SubmitOptions)

T = TypeVar("T")


def read_record(fields: Sequence[str | None]) -> RunRecord | None:
    """The record from the hash's RECORD_FIELDS; None when there is no hash.

    Raises:
        ContractError: it was written by another version, or is damaged.
    """
    row = dict(zip(RECORD_FIELDS, fields, strict=True))
    run_id = row["id"]
    if run_id is None:
        return None
    what = f"run {run_id}"
    if row["schema_version"] != str(SCHEMA_VERSION):
        raise ContractError(
            f"The record of {what} has schema version {row['schema_version']}; this version reads {SCHEMA_VERSION}.",
            hint="Install the same version of mnist-shared on the client and on every worker.",
        )

    def part(name: str, adapter: TypeAdapter[T]) -> T | None:
        text = row[name]
        return None if text is None else read_document(adapter, text, what=f"The {name} of {what}")

    request = part("request", REQUEST)
    state, submitted = row["state"], _time(row["submitted_ms"])
    if request is None or state is None or submitted is None:
        raise ContractError(f"The record of {what} is damaged: a field is missing.", hint="Submit it again.")
    return RunRecord(
        id=run_id,
        request=request,
        state=RunState(state),
        submitted_at=submitted,
        started_at=_time(row["started_ms"]),
        finished_at=_time(row["finished_ms"]),
        attempt=int(row["attempt"] or 0),
        attempts_without_checkpoint=int(row["attempts_without_checkpoint"] or 0),
        options=read_options(row["options"], name=row["name"], what=what),
        failures=int(row["failures"] or 0),
        waits_for=row["waits_for"],
        worker=row["worker"],
        cancel_requested=row["cancel_requested"] is not None,
        progress=part("progress", _PROGRESS),
        checkpoint=part("checkpoint", _CHECKPOINT),
        result=part("result", RESULT),
        error=part("error", _ERROR),
    )


@dataclass(frozen=True)
class Brief:
    """What runs are put in order by: as much of a record as was asked for."""

    id: str
    name: str | None = None
    kind: str | None = None
    state: str | None = None
    worker: str | None = None
    progress: Progress | None = None
    result: RunResult | None = None


def read_brief(run_id: str, fields: Mapping[str, str | None]) -> Brief:
    """The brief from these fields of the hash; None for what cannot be read."""
    documents: dict[str, TypeAdapter[Any]] = {"progress": _PROGRESS, "result": RESULT}
    found: dict[str, Any] = dict(fields)
    for name in found.keys() & documents.keys():
        try:
            found[name] = documents[name].validate_json(found[name]) if found[name] else None
        except ValidationError:
            found[name] = None
    return Brief(run_id, **found)


def read_options(text: str | None, *, name: str | None, what: str) -> SubmitOptions:
    """The options as they were submitted, with the name that the run was given.

    Raises:
        ContractError: they were written by another version, or are damaged.
    """
    options = read_document(_OPTIONS, text, what=f"The options of {what}") if text else SubmitOptions()
    return options.model_copy(update={"name": name or None})


def _time(milliseconds: str | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(int(float(milliseconds)) / 1000, UTC)
