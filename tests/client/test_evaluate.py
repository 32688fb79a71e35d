"""`evaluate`: submit, wait, print."""

import json
import signal
from collections.abc import Callable

import pytest

from mnist_shared.contracts.requests import EvaluateRequest
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli, wait_for_reader
from tests.client.owner import Owner
from tests.processes import eventually


@pytest.fixture
def evaluated(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> Callable[..., tuple[int, str, str]]:
    """Evaluate a trained run; exit code, stdout and stderr."""

    def evaluate(*arguments: str, correct: int = 9927) -> tuple[int, str, str]:
        owned(epochs=1).train()
        process = cli.start("evaluate", *arguments)
        Owner(store, waiting_evaluation(store)).evaluate(correct=correct)
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
