"""`compare`: what differs, what came of it, the epochs side by side."""

import json
from collections.abc import Callable

from mnist_shared.contracts.config import make_train_config
from mnist_shared.contracts.events import EnvironmentRecorded
from mnist_shared.contracts.requests import EvaluateRequest, ResumeRequest
from mnist_shared.contracts.runs import SubmitOptions
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner


def told(owner: Owner, *, torch: str) -> Owner:
    versions = {"torch": torch, "python": "3.11.7"}
    owner.tell(EnvironmentRecorded(device="cpu", device_name="AMD EPYC", num_threads=2, versions=versions))
    return owner


def test_two_runs_side_by_side(cli: Cli, owned: Callable[..., Owner], store: RunStore) -> None:
    first = told(owned(epochs=2), torch="2.14.1").train()
    second = told(owned(epochs=3, lr=0.01, worker="worker-2"), torch="2.13.0").train()
    names = [store.get(run_id).options.name or "" for run_id in (first, second)]
    done = cli("compare", first, second)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert lines[0] == names
    assert lines[1] == ["run", first, second]
    assert ["epochs", "2", "3"] in lines
    assert ["lr", "0.001", "0.01"] in lines
    assert ["torch", "2.14.1", "2.13.0"] in lines
    assert ["worker", "worker-1", "worker-2"] in lines
    assert not [line for line in lines if line[:1] == ["python"]]  # the same on both
    assert ["test", "accuracy", "99.02%", "99.03%", "*"] in lines
    assert ["1", "99.01%", "0.0480", "99.01%", "0.0480"] in lines
    assert ["2", "99.02%*", "0.0480", "99.02%", "0.0480"] in lines
    assert ["3", "99.03%*", "0.0480"] in lines
    assert "the same weights, bit for bit" in done.stderr  # the stand-in always says the same

    document = json.loads(cli("compare", "last", "last~1", "--json").stdout)
    assert [run["id"] for run in document["runs"]] == [second, first]
    assert document["configuration"] == {"epochs": {second: 3, first: 2}, "lr": {second: 0.01, first: 0.001}}
    assert document["result"]["test accuracy"] == {second: 0.9903, first: 0.9902}
    assert document["same_weights"] is True


def test_a_resumed_run_has_its_parents_epochs_too(cli: Cli, owned: Callable[..., Owner], store: RunStore) -> None:
    parent = owned(epochs=2).train()
    request = ResumeRequest(parent=parent, config=make_train_config(epochs=4))
    child = Owner(store, store.submit(request, options=SubmitOptions(name="calm-cub")).run_id)
    child.start(epoch=2)
    child.epoch(3)
    run = json.loads(cli("compare", "calm-cub", parent, "--json").stdout)["runs"][0]
    assert [metrics["epoch"] for metrics in run["epochs"]] == [1, 2, 3]
    assert (run["num_inherited"], run["state"]) == (2, "running")
    assert json.loads(cli("plot", "calm-cub", "--json").stdout)[0]["points"][0] == [1, 0.9901]


def test_many_runs_stand_in_blocks_where_they_do_not_fit(cli: Cli, owned: Callable[..., Owner]) -> None:
    ids = [owned(epochs=1, seed=seed).train() for seed in (1, 2, 3)]
    terminal = cli.terminal("compare", *ids, columns=60)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= 60
    assert [line.split()[1:] for line in terminal.lines if line.startswith("run ")] == [ids[:2], ids[2:]]


def test_an_evaluation_has_no_epochs(cli: Cli, owned: Callable[..., Owner], store: RunStore) -> None:
    run_id = owned(epochs=1).train()
    Owner(store, store.submit(EvaluateRequest(target=run_id, config=make_train_config())).run_id).evaluate()
    done = cli("compare", "last", run_id)
    assert done.returncode == 0
    assert "99.27%" in done.stdout
    assert cli("plot", "last").returncode == 101


def test_it_takes_two_different_runs(cli: Cli, owned: Callable[..., Owner]) -> None:
    run_id = owned(epochs=1).train()
    done = cli("compare", run_id, "last")
    assert done.returncode == 2
    assert "two different runs" in done.stderr
    assert cli("compare", run_id, "no-such-run").returncode == 102
