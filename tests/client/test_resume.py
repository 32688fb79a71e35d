"""`resume`: which run it goes on from, what is sent, and when it cannot."""

import re
from collections.abc import Callable

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner

ONE_LINE = re.compile(r"error: [^\n]+\n")


@pytest.mark.parametrize("command", [("submit", "resume"), ("resume",)], ids=" ".join)
def test_resume_sends_the_runs_configuration_with_the_overrides(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], command: tuple[str, ...]
) -> None:
    parent = owned(epochs=3, lr=0.01).train()
    done = cli(*command, parent[:6], "--epochs", "6", "--no-cuda")
    request = store.get(done.stdout.strip()).request
    assert request == ResumeRequest(parent=parent, config=TrainConfig(epochs=6, lr=0.01, no_cuda=True))


def test_resume_goes_on_to_the_same_total_after_a_failure(
    cli: Cli, store: RunStore, owned: Callable[..., Owner]
) -> None:
    owner = owned(epochs=3)
    owner.start()
    owner.epoch(1)
    owner.fail()
    done = cli("submit", "resume")
    assert store.get(done.stdout.strip()).request == ResumeRequest(parent=owner.run_id, config=TrainConfig(epochs=3))


@pytest.mark.parametrize("options", [(), ("--epochs", "2"), ("--epochs", "3")])
def test_resume_of_a_finished_run_wants_more_epochs(
    cli: Cli, owned: Callable[..., Owner], options: tuple[str, ...]
) -> None:
    parent = owned(epochs=3).train()
    done = cli("submit", "resume", parent, *options)
    assert done.returncode == 2
    assert done.stderr == f"error: Run {parent} already has 3 of 3 epochs. Give a larger total: --epochs 6.\n"


def test_resume_of_a_living_run_is_not_finished(
    cli: Cli, owned: Callable[..., Owner], submitted: Callable[..., str]
) -> None:
    for run_id, state in ((owned().run_id, "running"), (submitted(), "queued")):
        done = cli("submit", "resume", run_id)
        assert done.returncode == 101
        assert ONE_LINE.fullmatch(done.stderr)
        assert f"still {state}" in done.stderr
        assert f"mnist-client wait {run_id}" in done.stderr


def test_resume_without_a_checkpoint_is_a_clear_error(cli: Cli, owned: Callable[..., Owner]) -> None:
    done = cli("submit", "resume", owned().fail())
    assert done.returncode == 2
    assert "has left no checkpoint" in done.stderr
    done = cli("submit", "resume", owned(dry_run=True).succeed(), "--epochs", "20")
    assert "dry run" in done.stderr


def test_resume_of_an_evaluation_names_the_run_meant(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    parent = owned(epochs=3).train()
    evaluation = store.submit(EvaluateRequest(target=parent, config=TrainConfig(epochs=3))).run_id
    for command in (("submit", "resume"), ("submit", "evaluate"), ("evaluate",)):
        done = cli(*command, evaluation)
        assert done.returncode == 2
        assert parent in done.stderr


def test_last_means_the_last_training_run(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    first, second = owned(epochs=1).train(), owned(epochs=1).train()
    for _ in range(3):
        store.submit(EvaluateRequest(target=second, config=TrainConfig(epochs=1)))
    done = cli("submit", "evaluate")
    assert store.get(done.stdout.strip()).request == EvaluateRequest(target=second, config=TrainConfig(epochs=1))
    done = cli("submit", "resume", "last~1", "--epochs", "2")
    assert store.get(done.stdout.strip()).request == ResumeRequest(parent=first, config=TrainConfig(epochs=2))


def test_last_without_a_training_run_is_not_found(cli: Cli) -> None:
    done = cli("submit", "resume")
    assert done.returncode == 102
    assert "mnist-client submit train" in done.stderr
