"""Submitting: the id on stdout, the talk on stderr, and which requests reach the queue."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, TrainRequest
from mnist_shared.contracts.runs import SubmitOptions
from mnist_shared.contracts.workers import DeviceInfo, WorkerInfo
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
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
    assert f"submitted as {run_id} ({store.get(run_id).options.name}), next in the queue\n" in done.stderr
    for command in ("follow", "status", "cancel"):
        assert f"  mnist-client {command} {run_id}\n" in done.stderr


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
        dataset="digits", batch_size=32, test_batch_size=128, epochs=7, lr=0.01, no_cuda=True, no_mps=True,
        dry_run=True, seed=5, log_interval=3, save_model=False, resume=False, checkpoint_every_seconds=0.5, keep_last=4,
        validation_size=100, preset="fast", network="compact", widths=(1, 2, 3, 4), batch_norm_momentum=0.2,
        drop_last=True, schedule="one-cycle", warm_up=0.1, beta1=0.8, beta2=0.9, weight_decay=0.1, label_smoothing=0.2,
        shift=1, rotate=5.0, scale=0.1, shear=3.0, ema=0.99,
    )  # fmt: skip
    options = []
    for name, value in wanted.model_dump().items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        else:
            options += [f"--{option}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    done = cli("submit", "train", *options)
    assert store.get(done.stdout.strip()).request.config == wanted


def test_a_preset_is_sent_in_full_with_the_arguments_over_it(cli: Cli, store: RunStore) -> None:
    done = cli("submit", "train", "--preset", "fast", "--epochs", "2", "--lr", "0.02")
    sent = store.get(done.stdout.strip()).request.config
    assert sent == PRESETS["fast"].model_copy(update={"epochs": 2, "lr": 0.02})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "slow"), ("--preset", "'fast'")),
        (("--preset", "fast", "--gamma", "0.5"), ("--gamma", "without --schedule step")),
        (("--widths", "16,32"), ("--widths", "four numbers")),
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


def test_a_paused_queue_is_told_of(cli: Cli, client: Redis) -> None:
    Queue(client).pause()
    assert (
        "warning: the queue is paused: nothing starts before `mnist-client queue resume`."
        in cli("submit", "train").stderr
    )
    assert "1 run before it; the queue is paused\n" in cli("submit", "train", "--plan").stdout


def test_a_terminal_shows_the_id_too(cli: Cli, store: RunStore) -> None:
    terminal = cli.terminal("submit", "train")
    assert terminal.finish() == 0
    assert f"\n{store.latest(1)[0].id}\n" in f"\n{terminal.text}"


# ---- what is wished for the run -------------------------------------------------------------------------------------


def test_name_tags_priority_and_retries_reach_the_record(
    cli: Cli, store: RunStore, submitted: Callable[..., str]
) -> None:
    submitted()
    done = cli(
        "submit", "train", "--name", "Brisk-Otter", "--tag", "sweep", "--tag", "lr=0.1", "--tag", "sweep",
        "--priority", "high", "--retries", "3", "--json",
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["name"], told["position"], told["waits_for"], told["reused"]) == ("Brisk-Otter", 0, None, False)
    options = store.get(store.resolve("brisk-otter")).options
    assert (options.tags, options.priority, options.retries) == (("sweep", "lr=0.1"), "high", 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--name", "taken"), "is called 'taken' already"),
        (("--name", "abc"), "could be taken for the id of a run"),
        (("--name", "a b"), "is not a name for a run"),
        (("--tag", "a b"), "is not a tag"),
        (("--priority", "urgent"), "--priority: 'urgent' is none of low, normal, high"),
        (("--retries", "21"), "--retries: Input should be less than or equal to 20"),
        (("--then", "train"), "--then: 'train' is none of evaluate"),
        (("--then", "evaluate", "--dry-run"), "a dry run saves nothing"),
        (("--then", "evaluate", "--no-save-model"), "--no-save-model leaves no checkpoint"),
        (("--after", "failed-run"), "nothing can come after it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wish_that_cannot_be_is_refused_by_the_plan_too(
    cli: Cli, store: RunStore, arguments: tuple[str, ...], words: str
) -> None:
    request = TrainRequest(config=TrainConfig())
    Owner(store, store.submit(request, options=SubmitOptions(name="failed-run")).run_id).fail()
    store.submit(request, options=SubmitOptions(name="taken"))
    for plan in ((), ("--plan",)):
        done = cli("submit", "train", *arguments, *plan)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
    assert store.count() == 2


def test_after_waits_for_the_run_and_an_unknown_one_is_not_found(
    cli: Cli, store: RunStore, owned: Callable[..., Owner]
) -> None:
    owner = owned(epochs=1)
    name = store.get(owner.run_id).options.name
    assert name is not None
    done = cli("submit", "train", "--after", name)
    run_id = done.stdout.strip()
    assert f"once {owner.run_id} has succeeded" in done.stderr
    assert store.position(run_id) is None
    owner.train()
    assert store.position(run_id) == 0
    assert cli("submit", "train", "--after", "nobody").returncode == 102


def test_then_evaluate_evaluates_once_it_has_succeeded(cli: Cli, store: RunStore) -> None:
    process = cli.start("submit", "train", "--epochs", "1", "--then", "evaluate", "--tag", "t", "--wait")
    evaluation = eventually(lambda: store.latest(2)[1:] and store.latest(1)[0], what="both submissions")
    run_id = evaluation.waits_for
    assert run_id is not None
    assert evaluation.request == EvaluateRequest(target=run_id, config=TrainConfig(epochs=1))
    assert evaluation.options.tags == ("t",)
    Owner(store, run_id).train()
    Owner(store, evaluation.id).evaluate()
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (0, f"{run_id}\n")
    assert f"then evaluated as {evaluation.id} ({evaluation.options.name}), once {run_id} has succeeded" in stderr
    assert "succeeded: accuracy 9927/10000 (99.27%)" in stderr


def test_then_evaluate_ends_as_the_training_that_failed(cli: Cli, store: RunStore) -> None:
    process = cli.start("submit", "train", "--then", "evaluate", "--wait")
    evaluation = eventually(lambda: store.latest(2)[1:] and store.latest(1)[0], what="both submissions")
    assert evaluation.waits_for is not None
    Owner(store, evaluation.waits_for).fail()
    process.communicate(timeout=20)
    assert process.returncode == 100
    assert store.get(evaluation.id).state == "cancelled"


def test_if_needed_takes_the_run_that_has_done_it(cli: Cli, store: RunStore) -> None:
    first = cli("submit", "train", "--epochs", "1", "--if-needed").stdout.strip()
    Owner(store, first).train()
    again = cli("submit", "train", "--epochs", "1", "--log-interval", "5", "--if-needed", "--wait", "--name", "xx")
    assert (again.returncode, again.stdout) == (0, f"{first}\n")
    assert f"not needed: run {first} ({store.get(first).options.name}) has succeeded" in again.stderr
    assert "succeeded: accuracy 9901/10000" in again.stderr
    planned = json.loads(cli("submit", "train", "--epochs", "1", "--if-needed", "--plan", "--json").stdout)
    assert planned["reused"] == first
    assert store.count() == 1
    other = cli("submit", "train", "--epochs", "2", "--if-needed", "--json")
    assert json.loads(other.stdout)["reused"] is False


def test_if_needed_evaluates_anew_what_was_still_training(
    cli: Cli, store: RunStore, owned: Callable[..., Owner]
) -> None:
    owner = owned(epochs=2)
    owner.start()
    owner.epoch(1)
    early = cli("submit", "evaluate", "--if-needed").stdout.strip()
    assert store.get(early).options.fingerprint is None
    owner.epoch(2)
    owner.succeed()
    Owner(store, early).evaluate()
    late = cli("submit", "evaluate", "--if-needed").stdout.strip()
    assert late != early
    Owner(store, late).evaluate()
    assert cli("submit", "evaluate", "--if-needed").stdout.strip() == late


# ---- plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_names_every_value_with_its_source_and_sends_nothing(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path
) -> None:
    owned(epochs=1).train()
    (tmp_path / "c.toml").write_text("[train]\nseed = 5\nlog_interval = 7")
    done = cli(
        "submit", "train", "--preset", "fast", "--epochs", "3", "--seed", "6", "--plan",
        MNIST_CONFIG=str(tmp_path / "c.toml"),
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == "This is a plan: nothing was sent.\n"
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.partition("\n\n")[2].splitlines()}
    assert list(rows) == [name.replace("_", "-") for name in TrainConfig.model_fields]
    assert rows["epochs"] == ["3", "flag"]
    assert rows["seed"] == ["6", "flag"]
    assert rows["log-interval"] == ["7", "configuration file"]
    assert rows["batch-size"] == [str(PRESETS["fast"].batch_size), "preset fast"]
    assert rows["dataset"] == ["mnist", "default"]
    assert store.count() == 1


def test_a_plan_foresees_the_queue_and_the_time(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], submitted: Callable[..., str], client: Redis
) -> None:
    parent = owned(epochs=2).train()
    submitted(epochs=1)
    info = WorkerInfo(
        name="worker-1", host="h", pid=1, state="idle", versions={}, started_at_ms=0,
        device=DeviceInfo(kind="cpu", name="EPYC", num_threads=2),
    )  # fmt: skip
    WorkerRegistry(client).announce(info)
    plan = json.loads(cli("submit", "train", "--epochs", "4", "--no-cuda", "--plan", "--json").stdout)
    assert (plan["position"], plan["devices"]) == (1, ["mps", "cpu"])
    assert plan["starts_in_seconds"] == pytest.approx(54.7)
    assert plan["takes_seconds"] == pytest.approx(4 * 54.7)
    assert [worker["name"] for worker in plan["workers"]] == ["worker-1"]
    shown = cli("resume", parent, "--epochs", "5", "--priority", "high", "--plan").stdout
    assert "queue          high priority, next in the queue; starts at once\n" in shown
    assert "takes          about 2 min 44 s\n" in shown
    assert "workers        worker-1 (idle, cpu, EPYC)\n" in shown
    assert re.search(rf"\nlr +0.001 +run {parent}\n", shown)
    assert store.count() == 2


def test_a_plan_says_what_it_cannot_know(cli: Cli, owned: Callable[..., Owner]) -> None:
    shown = cli("submit", "train", "--after", owned().run_id, "--plan").stdout
    assert "workers        none is present" in shown
    assert "takes          not known" in shown
    assert "queue          once run" in shown


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


def test_a_folder_as_data_set_is_staged_and_said(cli: Cli, store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "my-digits").mkdir()
    (tmp_path / "my-digits" / "train-images-idx3-ubyte").write_bytes(b"images")
    folder = str(tmp_path / "my-digits")
    done = cli("submit", "train", "--dataset", folder)
    dataset = store.get(done.stdout.strip()).request.config.dataset
    assert dataset.startswith("own/my-digits-")
    assert f"data set {folder}: {dataset}, in {tmp_path}/storage/own-datasets/" in done.stderr
    done = cli("submit", "train", "--dataset", f"{tmp_path}/gone")
    assert done.returncode == 1
    assert "gone does not exist. Give the folder of the data set, or one of mnist," in done.stderr
