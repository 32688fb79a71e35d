"""Documents from outside: read back as they were written, or refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EVENT, BatchProgress, Finished
from mnist_shared.contracts.names import checked_run_id, checked_worker_name, new_run_id
from mnist_shared.contracts.requests import REQUEST, EvaluateRequest, ModelFile, ResumeRequest, TrainRequest
from mnist_shared.contracts.runs import TRANSITIONS, CheckpointRef, RunState
from mnist_shared.errors import ContractError, InvalidInput

PARENT = "0123456789ab"
REQUESTS = [
    TrainRequest(config=TrainConfig(lr=0.5)),
    ResumeRequest(parent=PARENT, config=TrainConfig()),
    EvaluateRequest(target=PARENT, config=TrainConfig(dataset="digits")),
    EvaluateRequest(file=ModelFile(name="a-0123456789ab.pt", sha256="0" * 64), config=TrainConfig(), as_trained=True),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=["train", "resume", "evaluate", "evaluate a file"])
def test_a_request_is_read_back_as_it_was_written(request_: object) -> None:
    assert read_document(REQUEST, REQUEST.dump_json(request_), what="it") == request_  # type: ignore[arg-type]


def test_events_are_told_apart_by_their_type() -> None:
    event = BatchProgress(epoch=1, epochs=2, batch=3, num_batches=4, loss=0.5, images_per_second=6.0)
    assert read_document(EVENT, event.model_dump_json(), what="it") == event
    last = Finished(state=RunState.CANCELLED)
    assert read_document(EVENT, last.model_dump_json(), what="it") == last


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 2}, "schema version 2; this version reads 1"),
        ({"schema_version": None}, "schema version None"),
        ({"kind": "delete"}, "kind"),
        ({"extra": 1}, "extra"),
        ({"config": None}, "config"),
        ({"config": {"schema": 1}}, "schema"),
        ({"config": {"epochs": "3"}}, "epochs"),
    ],
)
def test_an_unknown_version_or_field_is_a_clear_error(change: dict[str, object], says: str) -> None:
    document = json.loads(REQUESTS[0].model_dump_json()) | change
    with pytest.raises(ContractError, match=says):
        read_document(REQUEST, json.dumps(document), what="The request")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"file": {"name": "a-0123456789ab.pt", "sha256": "0" * 64}}, "either a target or a file"),
        ({"target": None}, "either a target or a file"),
        ({"target": None, "file": {"name": "../a-0123456789ab.pt", "sha256": "0" * 64}}, "name"),
        ({"target": None, "file": {"name": "a-0123456789ab.pt", "sha256": "0"}}, "sha256"),
        ({"target": None, "file": {"name": "a-0123456789ab.pt", "sha256": "0" * 64}, "checkpoint": 3}, "as_trained"),
        ({"as_trained": True}, "as_trained"),
    ],
)
def test_an_evaluation_is_of_a_run_or_of_a_model_file(change: dict[str, object], says: str) -> None:
    document = json.loads(REQUESTS[2].model_dump_json()) | change
    with pytest.raises(ContractError, match=says):
        read_document(REQUEST, json.dumps(document), what="The request")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "\x00", "[" * 100_000, '{"schema_version": 1}'])
def test_what_is_no_document_is_a_clear_error(text: str) -> None:
    with pytest.raises(ContractError):
        read_document(REQUEST, text, what="The request")


@given(st.text() | st.binary())
def test_no_input_whatever_raises_anything_else(text: str | bytes) -> None:
    with pytest.raises(ContractError):
        read_document(REQUEST, text, what="The request")


@pytest.mark.parametrize("name", ["../x.pt", "a/b", "", ".hidden", "a" * 200, "x\n"])
def test_a_checkpoint_cannot_name_a_file_outside_its_folder(name: str) -> None:
    document = json.dumps(
        {"schema_version": 1, "file": name, "epoch": 1, "batch": 0, "attempt": 1, "num_bytes": 1, "sha256": "0" * 64}
    )
    with pytest.raises(ContractError):
        read_document(TypeAdapter(CheckpointRef), document, what="The manifest")


def test_run_ids_are_checked_and_new_ones_pass() -> None:
    assert checked_run_id(new_run_id())
    for hostile in ("", "0123456789a", "0123456789abc", "0123456789AB", "0123456789a/", "0123456789ab\n"):
        with pytest.raises(InvalidInput):
            checked_run_id(hostile)


def test_worker_names_are_checked() -> None:
    assert checked_worker_name("gpu-7.example_1") == "gpu-7.example_1"
    for hostile in ("", "-x", "a b", "a/b", "a" * 64, "a\n", "é"):
        with pytest.raises(InvalidInput):
            checked_worker_name(hostile)


def test_final_states_are_those_that_lead_nowhere() -> None:
    assert {state for state in RunState if state.is_final} == {
        RunState.SUCCEEDED,
        RunState.FAILED,
        RunState.CANCELLED,
    }
    assert TRANSITIONS[RunState.RUNNING] == set(RunState) - {RunState.RUNNING}
