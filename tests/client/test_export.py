"""`export` and `verify`: what a worker does with a trained run, fetched and judged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_client.rendering.wording import outcome
from mnist_shared.contracts.requests import ExportRequest, ResumeRequest, VerifyRequest
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner
from tests.client.volume_files import run_folder
from tests.processes import eventually

MODEL = b"a network"


def waiting(store: RunStore, kind: str) -> str:
    def found() -> str | None:
        latest = store.latest(1)
        return latest[0].id if latest and latest[0].request.kind == kind and latest[0].state == "queued" else None

    return eventually(found, what=f"the {kind}")


@pytest.fixture
def exported(cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path) -> Callable[..., tuple]:
    """Export a trained run; its id, exit code, stdout and stderr."""

    def export(*arguments: str, sha256: str | None = None) -> tuple[str, int, str, str]:
        target = owned(epochs=2, validation_size=100).train()
        run_folder(tmp_path, target)
        process = cli.start("export", *arguments)
        run_id = waiting(store, "export")
        request = store.get(run_id).request
        assert isinstance(request, ExportRequest)
        folder = run_folder(tmp_path, run_id).export
        folder.mkdir()
        (folder / f"model.{request.file_format}").write_bytes(MODEL)
        (folder / "model.md").write_text("# A card")
        Owner(store, run_id).export(MODEL, sha256=sha256)
        stdout, stderr = process.communicate(timeout=20)
        return target, process.returncode, stdout, stderr

    return export


def test_export_copies_file_and_card_and_prints_the_path(exported: Callable[..., tuple], tmp_path: Path) -> None:
    folder = tmp_path / "models"
    target, code, stdout, stderr = exported("--format", "onnx", "--checkpoint", "best", "-o", str(folder))
    path = folder / f"{target}-best.onnx"
    assert (code, stdout) == (0, f"{path}\n")
    assert path.read_bytes() == MODEL
    assert {file.name for file in folder.iterdir()} == {path.name, f"{target}-best.onnx.md"}
    assert "onnx, 9 B, largest difference 5e-07" in stderr


def test_export_to_a_file_as_json(exported: Callable[..., tuple], cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "digits.safetensors"
    target, code, stdout, _ = exported("--format", "safetensors", "-o", str(path), "--json")
    document = json.loads(stdout)
    assert (code, document["path"], document["card"]) == (0, str(path), str(tmp_path / "digits.safetensors.md"))
    assert (document["target"], document["num_bytes"]) == (target, len(MODEL))
    again = cli("export", "--format", "safetensors", "-o", str(path))
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_damaged_export_is_not_handed_out(exported: Callable[..., tuple], tmp_path: Path) -> None:
    _, code, stdout, stderr = exported("--format", "torchscript", "-o", str(tmp_path / "out"), sha256="f" * 64)
    assert (code, stdout) == (1, "")
    assert "is damaged" in stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_exported_sends_nothing(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=1)
    assert "none of safetensors, torchscript, onnx" in cli("export", "--format", "pickle").stderr
    assert cli("export", "--format", "onnx").returncode == 101
    owner.train()
    done = cli("export", "--format", "onnx")
    assert done.returncode == 1
    assert "does not share the workers' volume" in done.stderr
    assert store.count() == 1


@pytest.mark.parametrize(
    ("difference", "code", "line"),
    [
        ("", 0, f"identical weights ({'b' * 12}), 2 epochs in 55.0 s"),
        ("conv1.weight at epoch 1.", 104, "differs: conv1.weight at epoch 1, 2 epochs in 55.0 s"),
    ],
)
def test_verify_shows_the_epochs_and_gives_a_verdict(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], difference: str, code: int, line: str
) -> None:
    target = owned(epochs=2).train()
    process = cli.start("verify")
    run_id = waiting(store, "verify")
    assert store.get(run_id).request == VerifyRequest(target=target, config=store.get(target).request.config)
    Owner(store, run_id).verify(first_difference=difference, environment=("torch 2.1, not 2.0",) if difference else ())
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert stdout.splitlines() == [line, *(["environment: torch 2.1, not 2.0"] if difference else [])]
    assert "epoch 2/2" in stderr


def test_verify_of_a_resumed_run_names_where_it_went_on_from(
    cli: Cli, store: RunStore, owned: Callable[..., Owner]
) -> None:
    parent = owned(epochs=1).train()
    config = store.get(parent).request.config.model_copy(update={"epochs": 2})
    Owner(store, store.submit(ResumeRequest(parent=parent, config=config)).run_id).train()
    process = cli.start("verify", "--json")
    run_id = waiting(store, "verify")
    request = store.get(run_id).request
    assert isinstance(request, VerifyRequest)
    assert request.parent == parent
    Owner(store, run_id).verify()
    assert json.loads(process.communicate(timeout=20)[0])["identical"] is True


def test_what_has_no_final_weights_is_not_verified(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=1)
    assert cli("verify").returncode == 101
    owner.fail()
    done = cli("verify")
    assert done.returncode == 2
    assert "no final weights to compare with" in done.stderr
    assert store.count() == 1


def test_status_knows_the_new_kinds(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    target = owned(epochs=1).train()
    config = store.get(target).request.config
    export = store.submit(ExportRequest(target=target, config=config, file_format="onnx")).run_id
    Owner(store, export).export(b"x" * 4_800_000)
    verification = store.submit(VerifyRequest(target=target, config=config)).run_id
    Owner(store, verification).verify(first_difference="conv1.weight")
    result = store.get(export).result
    assert result is not None
    assert outcome(result) == "onnx, 4.8 MB, largest difference 5e-07"
    details = cli("status", verification).stdout
    assert "differs: conv1.weight" in details
    assert "export to onnx: succeeded" in details
    assert "verify: succeeded, differs" in details
    rows = json.loads(cli("status", "--kind", "export", "--kind", "verify", "--sort", "loss", "--json").stdout)
    assert {row["id"] for row in rows} == {export, verification}
    done = cli("resume", export)
    assert done.returncode == 2
    assert f"Run {export} is an export of run {target}." in done.stderr
