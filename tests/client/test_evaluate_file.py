"""`evaluate` of a model file: what is taken for one, what is sent, what is shown of it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_shared.contracts.requests import EvaluateRequest, ModelFile
from mnist_shared.contracts.runs import SubmitOptions
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.evaluation_report import a_report
from tests.client.owner import Owner
from tests.client.test_evaluate import waiting_evaluation

CONTENT = b"not looked at by the client"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
STAGED = f"model-{SHA256[:12]}.safetensors"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "here" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def here(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command runs where the file is."""
    monkeypatch.chdir(file.parent)
    return file.parent


def request_of(store: RunStore, run_id: str) -> EvaluateRequest:
    request = store.get(run_id.strip()).request
    assert isinstance(request, EvaluateRequest)
    return request


def test_it_goes_to_the_volume_and_the_request_names_it(cli: Cli, store: RunStore, file: Path, tmp_path: Path) -> None:
    done = cli("submit", "evaluate", str(file))
    request = request_of(store, done.stdout)
    assert request.file == ModelFile(name=STAGED, sha256=SHA256)
    assert (request.target, request.as_trained) == (None, True)
    staged = tmp_path / "storage" / "own-models" / STAGED
    assert staged.read_bytes() == CONTENT
    assert f"model file {file}: {staged}" in done.stderr


def test_an_argument_of_the_command_line_counts_more_than_the_file(cli: Cli, store: RunStore, file: Path) -> None:
    done = cli("submit", "evaluate", str(file), "--dataset", "kmnist", "--test-batch-size", "7", "--no-cuda")
    request = request_of(store, done.stdout)
    assert not request.as_trained
    assert (request.config.dataset, request.config.test_batch_size, request.config.no_cuda) == ("kmnist", 7, True)


def test_a_file_here_is_one_by_its_name_alone(cli: Cli, store: RunStore, here: Path) -> None:
    for words in ("model.safetensors", "./model.safetensors", "../here/model.safetensors"):
        request = request_of(store, cli("submit", "evaluate", words).stdout)
        assert request.file is not None
        assert request.file.name == STAGED


def test_a_run_stays_a_run_whatever_lies_here(
    cli: Cli, store: RunStore, here: Path, owned: Callable[..., Owner]
) -> None:
    target = owned(epochs=1).train()
    (here / "last").write_bytes(CONTENT)
    (here / store.get(target).options.name).mkdir()
    for words in ((), ("last",), ("last~0",), (target,), (store.get(target).options.name,)):
        assert request_of(store, cli("submit", "evaluate", *words).stdout).target == target


def test_what_is_a_file_and_a_run_is_asked_about(
    cli: Cli, store: RunStore, here: Path, submitted: Callable[..., str]
) -> None:
    run_id = submitted(epochs=1)
    request, options = store.get(run_id).request, SubmitOptions(name="model.safetensors")
    twin = store.submit(request, options=options).run_id
    (here / run_id).write_bytes(CONTENT)
    for words in ("model.safetensors", run_id):
        done = cli("evaluate", words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is a file here and a run" in done.stderr
        assert f"Write ./{words} for the file" in done.stderr
    (here / "model.safetensors").unlink()
    done = cli("evaluate", "model.safetensors")  # the run alone, which has not begun
    assert done.returncode == 101
    assert f"Run {twin} is queued" in done.stderr
    assert store.count() == 2


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["./model.safetensors", "--checkpoint", "last"], 2, "is a file, which holds one network"),
        (["./model.safetensors", "--checkpoint", "3"], 2, "is a file, which holds one network"),
        (["./nowhere.onnx"], 2, "nowhere.onnx does not exist"),
        (["nowhere.onnx"], 102, "neither a file nor a run"),
        (["."], 102, "no run"),
        (["/"], 2, "is a folder"),
        (["./folder.pt"], 2, "is a folder"),
        (["./model.safetensors", "--test-batch-size", "0"], 2, "--test-batch-size"),
        (["./model.safetensors", "--dataset", "mnits"], 2, "--dataset"),
        (["./model.safetensors", "--min-accuracy", "101"], 2, "--min-accuracy"),
    ],
)
def test_what_cannot_be_evaluated_sends_nothing(
    cli: Cli, store: RunStore, here: Path, tmp_path: Path, arguments: list[str], code: int, why: str
) -> None:
    (here / "folder.pt").mkdir()
    done = cli("evaluate", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert why in done.stderr
    assert store.count() == 0
    assert not (tmp_path / "storage" / "own-models").exists()


@pytest.mark.parametrize(("gate", "code"), [("99.27", 0), ("99.28", 104)])
def test_the_result_is_printed_as_of_a_run_and_the_gate_holds(
    cli: Cli, store: RunStore, file: Path, gate: str, code: int
) -> None:
    process = cli.start("evaluate", str(file), "--min-accuracy", gate)
    Owner(store, waiting_evaluation(store)).evaluate(report=a_report())
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert stdout.startswith("accuracy 9927/10000 (99.27%")
    assert f"evaluating {STAGED} as " in stderr
    assert "safetensors, 155.2 kB, compact network, of run 0123456789ab, epoch 3, on " in stderr


def test_json_says_what_was_evaluated(cli: Cli, store: RunStore, file: Path) -> None:
    process = cli.start("evaluate", str(file), "--json")
    Owner(store, waiting_evaluation(store)).evaluate()
    result = json.loads(process.communicate(timeout=20)[0])
    assert (result["target"], result["file"]["name"], result["file"]["sha256"]) == (None, STAGED, SHA256)


def test_status_follow_compare_and_plan_show_the_file(cli: Cli, store: RunStore, file: Path) -> None:
    run_id = cli("submit", "evaluate", str(file)).stdout.strip()
    Owner(store, run_id).evaluate(report=a_report())
    shown = cli("status", run_id).stdout
    for words in (
        f"evaluate the model file {STAGED}",
        f"SHA-256 {SHA256}",
        "compact network",
        "epoch 3",
        "digits: (",
    ):
        assert words in shown
    assert "configuration" not in shown  # of the file's network only what it says itself is known
    assert "seed" not in shown
    followed = cli("follow", run_id).stdout
    assert f"evaluate the model file {STAGED}" in followed
    assert f"evaluating {STAGED} on 10,000 images of mnist" in followed
    other = cli("submit", "evaluate", str(file), "--dataset", "digits").stdout.strip()
    compared = cli("compare", run_id, other).stdout
    assert "as the file says" in compared
    assert "digits" in compared
    plan = cli("submit", "evaluate", str(file), "--plan").stdout
    assert "as the file says" in plan
    assert "epochs" not in plan
    assert cli("evaluate", run_id).returncode == 2  # an evaluation trains nothing


def test_a_failed_one_is_retried_as_it_was(cli: Cli, store: RunStore, file: Path) -> None:
    run_id = cli("submit", "evaluate", str(file)).stdout.strip()
    Owner(store, run_id).fail()
    file.unlink()
    again = cli("retry", run_id).stdout
    assert request_of(store, again) == request_of(store, run_id)


def test_it_is_evaluated_once_if_that_is_enough(cli: Cli, store: RunStore, file: Path) -> None:
    run_id = cli("submit", "evaluate", str(file)).stdout.strip()
    Owner(store, run_id).evaluate()
    assert cli("submit", "evaluate", str(file), "--if-needed").stdout.strip() == run_id
    file.write_bytes(b"other weights")
    assert cli("submit", "evaluate", str(file), "--if-needed").stdout.strip() != run_id


def test_tab_offers_model_files_and_folders(cli: Cli, here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "best.onnx").write_bytes(CONTENT)
    (here / "model.txt").write_bytes(CONTENT)

    def offered(typed: str) -> set[str]:
        line = f"mnist-client evaluate {typed}"
        environment = {"_MNIST_CLIENT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "2"}
        return set(cli(**environment).stdout.split())

    assert offered("m") == {"model.safetensors", "mine/"}
    assert offered("mine/") == {"mine/best.onnx"}
    assert offered("nowhere/") == set()
