"""Submitting: the id on stdout, the talk on stderr, and which requests reach the queue."""

import json
import re
from collections.abc import Callable

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner
from tests.processes import eventually

ONE_LINE = re.compile(r"error: [^\n]+\n")


def test_prints_the_id_alone_and_the_rest_on_stderr(cli: Cli, store: RunStore) -> None:
    done = cli("submit", "train", "--epochs", "3")
    assert done.returncode == 0
    run_id = done.stdout.removesuffix("\n")
    assert re.fullmatch("[0-9a-f]{12}", run_id)
    assert store.get(run_id).request.config == TrainConfig(epochs=3)
    assert f"submitted as {run_id}, next in the queue" in done.stderr
    assert f"mnist-client follow {run_id}" in done.stderr
    assert f"mnist-client cancel {run_id}" in done.stderr


def test_says_how_many_runs_are_before_it_and_that_nobody_serves_them(cli: Cli, submitted: Callable[..., str]) -> None:
    submitted()
    submitted()
    done = cli("submit", "train")
    assert "2 runs before it" in done.stderr
    assert "warning: no worker is present" in done.stderr
    assert "mnist-worker" in done.stderr


def test_quiet_leaves_the_id(cli: Cli) -> None:
    done = cli("-q", "submit", "train")
    assert re.fullmatch("[0-9a-f]{12}\n", done.stdout)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("--json", "submit", "train"), ("submit", "train", "--json")])
def test_json_is_asked_for_globally_or_at_the_command(cli: Cli, arguments: tuple[str, ...]) -> None:
    told = json.loads(cli(*arguments).stdout)
    assert (told["kind"], told["position"]) == ("train", 0)
    assert re.fullmatch("[0-9a-f]{12}", told["id"])


def test_every_option_reaches_the_configuration(cli: Cli, store: RunStore) -> None:
    wanted = TrainConfig(
        dataset="digits", batch_size=32, test_batch_size=128, epochs=7, lr=0.01, gamma=0.9, no_cuda=True, no_mps=True,
        dry_run=True, seed=5, log_interval=3, save_model=False, resume=False, checkpoint_every_seconds=0.5, keep_last=4,
        validation_size=100,
    )  # fmt: skip
    options = []
    for name, value in wanted.model_dump().items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        else:
            options += [f"--{option}", str(value)]
    done = cli("submit", "train", *options)
    assert store.get(done.stdout.strip()).request.config == wanted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--epochs", "0"), ("--epochs", "greater than or equal to 1")),
        (("--epochs", "three"), ("--epochs", "valid integer", "--help")),
        (("--epochs", "1.5"), ("--epochs", "valid integer")),
        (("--lr", "nan"), ("--lr", "nan")),
        (("--gamma", "2"), ("--gamma", "less than or equal to 1")),
        (("--dataset", "cifar"), ("--dataset", "fashion-mnist")),
        (("--seed", "-1"), ("--seed",)),
        (("--epoch",), ("--epoch",)),
        (("--batch-size", "9" * 40), ("--batch-size",)),
        (("extra",), ("extra",)),
    ],
)
def test_bad_arguments_are_one_line_and_nothing_is_sent(
    cli: Cli, store: RunStore, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = cli("submit", "train", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert ONE_LINE.fullmatch(done.stderr)
    for word in words:
        assert word in done.stderr
    assert store.count() == 0


def test_bad_arguments_are_found_without_a_broker(lonely: Cli) -> None:
    done = lonely("submit", "train", "--epochs", "0")
    assert done.returncode == 2
    assert "--epochs" in done.stderr


def test_wait_ends_with_the_runs_result(cli: Cli, store: RunStore) -> None:
    process = cli.start("submit", "train", "--epochs", "2", "--wait")
    run_id = eventually(lambda: store.latest(1), what="the submission")[0].id
    Owner(store, run_id).train()
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (0, f"{run_id}\n")
    assert "succeeded: accuracy 9902/10000 (99.02%)" in stderr


def test_wait_tells_why_a_run_failed(cli: Cli, store: RunStore) -> None:
    process = cli.start("submit", "train", "--wait")
    run_id = eventually(lambda: store.latest(1), what="the submission")[0].id
    Owner(store, run_id).fail()
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 100
    assert "The volume is full. Free some space on it." in stderr


def test_follow_keeps_stdout_to_the_id(cli: Cli, store: RunStore) -> None:
    process = cli.start("submit", "train", "--epochs", "2", "--follow")
    run_id = eventually(lambda: store.latest(1), what="the submission")[0].id
    Owner(store, run_id).train()
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (0, f"{run_id}\n")
    assert "epoch 2/2  test accuracy 99.02%" in stderr


def test_follow_as_json_is_the_submission_and_then_the_events(cli: Cli, store: RunStore) -> None:
    process = cli.start("submit", "train", "--epochs", "1", "-f", "--json")
    run_id = eventually(lambda: store.latest(1), what="the submission")[0].id
    Owner(store, run_id).train()
    stdout, _ = process.communicate(timeout=20)
    submission, *events = map(json.loads, stdout.splitlines())
    assert submission["id"] == run_id
    assert [event["type"] for event in events][-1] == "finished"


# ---- resume ---------------------------------------------------------------------------------------------------------


def test_resume_sends_the_runs_configuration_with_the_overrides(
    cli: Cli, store: RunStore, owned: Callable[..., Owner]
) -> None:
    parent = owned(epochs=3, lr=0.01).train()
    done = cli("submit", "resume", parent[:6], "--epochs", "6", "--no-cuda")
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


# ---- evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_of_a_run_without_a_checkpoint(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned()
    assert cli("submit", "evaluate").returncode == 101
    owner.fail()
    assert cli("submit", "evaluate").returncode == 2


def test_evaluate_of_a_run_that_still_trains(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=3)
    owner.start()
    owner.epoch(1)
    done = cli("submit", "evaluate", "--test-batch-size", "50")
    config = TrainConfig(epochs=3, test_batch_size=50)
    assert store.get(done.stdout.strip()).request == EvaluateRequest(target=owner.run_id, config=config)
