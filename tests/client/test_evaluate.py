"""`evaluate`: submit, wait, print."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_client.commands.evaluate import FILES
from mnist_shared.contracts.reports import EvaluationReport
from mnist_shared.contracts.requests import EvaluateRequest
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli, wait_for_reader
from tests.client.evaluation_report import a_report, write_report_files
from tests.client.owner import Owner
from tests.client.volume_files import run_folder
from tests.processes import eventually


@pytest.fixture
def evaluated(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> Callable[..., tuple[int, str, str]]:
    """Evaluate a trained run; exit code, stdout and stderr."""

    def evaluate(*arguments: str, correct: int = 9927, report: EvaluationReport | None = None) -> tuple[int, str, str]:
        owned(epochs=1).train()
        process = cli.start("evaluate", *arguments)
        Owner(store, waiting_evaluation(store)).evaluate(correct=correct, report=report)
        stdout, stderr = process.communicate(timeout=20)
        return process.returncode, stdout, stderr

    return evaluate


def waiting_evaluation(store: RunStore) -> str:
    def found() -> str | None:
        latest = store.latest(1)
        return latest[0].id if latest and isinstance(latest[0].request, EvaluateRequest) else None

    return eventually(found, what="the evaluation")


def test_prints_accuracy_loss_and_seconds(evaluated: Callable[..., tuple[int, str, str]]) -> None:
    code, stdout, stderr = evaluated()
    assert (code, stdout) == (0, "accuracy 9927/10000 (99.27%), average loss 0.0226, 1.1 s\n")
    assert "evaluating run" in stderr


def test_prints_the_result_as_json(evaluated: Callable[..., tuple[int, str, str]]) -> None:
    result = json.loads(evaluated("--json")[1])
    assert (result["correct"], result["total"], result["average_loss"]) == (9927, 10_000, 0.0226)


@pytest.mark.parametrize(("gate", "code"), [("99.27", 0), ("99.28", 104), ("0", 0)])
def test_the_gate_is_the_accuracy_itself(evaluated: Callable[..., tuple[int, str, str]], gate: str, code: int) -> None:
    found, stdout, stderr = evaluated("--min-accuracy", gate)
    assert found == code
    assert stdout.startswith("accuracy 9927/10000")
    assert ("below --min-accuracy" in stderr) == (code == 104)


@pytest.mark.parametrize("gate", ["101", "-1", "nan"])
def test_a_gate_that_is_no_percentage_sends_nothing(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], gate: str
) -> None:
    owned(epochs=1).train()
    assert cli("evaluate", "--min-accuracy", gate).returncode == 2
    assert store.count() == 1


def test_a_failed_evaluation_says_why(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owned(epochs=1).train()
    process = cli.start("evaluate")
    Owner(store, waiting_evaluation(store)).fail("Checkpoint epoch-1.pt is damaged.", hint="Train anew.")
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (100, "")
    assert "Checkpoint epoch-1.pt is damaged. Train anew." in stderr


def test_a_cancelled_evaluation(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owned(epochs=1).train()
    process = cli.start("evaluate")
    store.cancel(waiting_evaluation(store))
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 103
    assert "was cancelled" in stderr


def test_ctrl_c_leaves_the_evaluation_going(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owned(epochs=1).train()
    process = cli.start("evaluate")
    run_id = waiting_evaluation(store)
    wait_for_reader(store)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"mnist-client follow {run_id}" in stderr
    assert store.get(run_id).state == "queued"


def test_a_report_follows_in_lines(evaluated: Callable[..., tuple[int, str, str]]) -> None:
    code, stdout, _ = evaluated(report=a_report())
    first, *lines = stdout.splitlines()
    assert code == 0
    assert first == (
        "accuracy 9927/10000 (99.27%, 95% interval 99.08% to 99.42%), average loss 0.0226, calibration error 0.31%, "
        "1.1 s"
    )
    assert "rows: labels, columns: answers" in lines
    assert "images normalised as digits: (pixel / 255 - 0.3056) / 0.3249" in lines
    assert lines[-1] == "most confused: 1 → 0 (43)"


def test_json_holds_the_whole_report(evaluated: Callable[..., tuple[int, str, str]]) -> None:
    report = json.loads(evaluated("--json", report=a_report())[1])["report"]
    assert report == a_report().model_dump(mode="json")


def test_another_checkpoint_and_another_data_set(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    target = owned(epochs=3, validation_size=100).train()
    for words, checkpoint in (("2", 2), ("best", "best")):
        done = cli("submit", "evaluate", "--checkpoint", words, "--dataset", "kmnist", "--test-batch-size", "500")
        request = store.get(done.stdout.strip()).request
        assert isinstance(request, EvaluateRequest)
        assert (request.target, request.checkpoint) == (target, checkpoint)
        assert (request.config.dataset, request.config.test_batch_size, request.config.epochs) == ("kmnist", 500, 3)


@pytest.mark.parametrize(
    ("checkpoint", "code", "why"),
    [
        ("best", 2, "no best checkpoint"),
        ("3", 101, "has finished 1 epochs, not 3"),
        ("9", 2, "has finished 1 epochs, not 9"),
        ("0", 2, "is no checkpoint"),
        ("newest", 2, "Write last, best, or an epoch"),
    ],
)
def test_a_checkpoint_that_is_not_there(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], checkpoint: str, code: int, why: str
) -> None:
    owner = owned(epochs=5)
    owner.start()
    owner.epoch(1)
    done = cli("evaluate", "--checkpoint", checkpoint)
    assert done.returncode == code
    assert why in done.stderr
    assert store.count() == 1


def test_output_copies_the_files_and_replaces_nothing(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path
) -> None:
    run_folder(tmp_path, owned(epochs=1).train())
    output = tmp_path / "out"
    process = cli.start("evaluate", "--output", str(output))
    run_id = waiting_evaluation(store)
    write_report_files(run_folder(tmp_path, run_id).evaluation)
    Owner(store, run_id).evaluate(report=a_report())
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr.splitlines()[-1]) == (0, f"report in {output}")
    assert {path.name: path.read_text() for path in output.iterdir()} == {name: name for name in FILES}
    done = cli("evaluate", "--output", str(output))
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert store.count() == 2  # nothing was sent


def test_output_without_the_volume_sends_nothing(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owned(epochs=1).train()
    done = cli("evaluate", "--open")
    assert done.returncode == 1
    assert "does not share the workers' volume" in done.stderr
    assert "--storage" in done.stderr
    assert store.count() == 1


@pytest.mark.parametrize("has_browser", [True, False])
def test_open_shows_the_page_or_says_where_it_is(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path, has_browser: bool
) -> None:
    run_folder(tmp_path, owned(epochs=1).train())
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    cli.environment |= {"BROWSER": f"{browser} %s" if has_browser else "", "PATH": str(tmp_path / "nothing")}
    process = cli.start("evaluate", "--open")
    run_id = waiting_evaluation(store)
    folder = run_folder(tmp_path, run_id).evaluation
    write_report_files(folder)
    Owner(store, run_id).evaluate()
    _, stderr = process.communicate(timeout=20)
    page = folder / "report.html"
    assert process.returncode == 0
    if has_browser:
        assert seen.read_text() == f"{page.as_uri()}\n"
    else:
        assert stderr.endswith(f"there is no browser here; the report is {page}\n")
