"""`wait`, `cancel` and `retry`."""

import json
import signal
from collections.abc import Callable

import pytest

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunState, SubmitOptions
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli, wait_for_reader
from tests.client.owner import Owner
from tests.conftest import Server
from tests.processes import eventually


def test_wait_is_silent_and_exits_as_the_run(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=1)
    process = cli.start("wait", "last")
    owner.train()
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_wait_for_several_exits_as_the_first_that_did_not_succeed(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], submitted: Callable[..., str]
) -> None:
    good, bad, gone = owned(epochs=1).train(), owned().fail(), submitted()
    store.cancel(gone)
    assert cli("wait", good).returncode == 0
    assert cli("wait", good, gone, bad).returncode == 103
    done = cli("wait", good, bad, gone, "--json")
    assert done.returncode == 100
    assert [record["state"] for record in json.loads(done.stdout)] == ["succeeded", "failed", "cancelled"]


def test_wait_stops_at_its_timeout(cli: Cli, store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    done = cli("wait", run_id, "--timeout", "0.3")
    assert done.returncode == 106
    assert "goes on" in done.stderr
    assert store.get(run_id).state == "queued"


def test_wait_for_several_stops_at_its_timeout(
    cli: Cli, owned: Callable[..., Owner], submitted: Callable[..., str]
) -> None:
    done = cli("wait", owned(epochs=1).train(), submitted(), submitted(), "--timeout", "0.1")
    assert done.returncode == 106
    assert "2 runs have not ended within 0.1 s; they go on." in done.stderr


def test_wait_for_any_ends_with_the_first_and_as_it_did(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], submitted: Callable[..., str]
) -> None:
    first, second = owned(epochs=1), submitted()
    process = cli.start("wait", "--any", first.run_id, second)
    wait_for_reader(store)
    store.cancel(second)
    assert process.communicate(timeout=20) == (f"{second}\n", "")
    assert process.returncode == 103
    assert cli("wait", "--any", first.run_id, "--timeout", "0.1").returncode == 106


def test_a_wait_outlives_the_server(lonely: Cli, own_server: Server) -> None:
    with connect(own_server.url) as redis:
        store = RunStore(redis)
        run_id = store.submit(TrainRequest(config=TrainConfig())).run_id
        process = lonely.start("wait", run_id, MNIST_BROKER_URL=own_server.url)
        wait_for_reader(store)
        own_server.kill()
        assert process.stderr is not None
        assert "Waiting for the broker to come back" in process.stderr.readline()
        own_server.start()
        assert "The broker is back." in process.stderr.readline()
        store.cancel(run_id)
        process.communicate(timeout=20)
        assert process.returncode == 103


def test_wait_takes_no_impossible_timeout(cli: Cli, submitted: Callable[..., str]) -> None:
    assert cli("wait", submitted(), "--timeout", "nan").returncode == 2


def test_ctrl_c_ends_the_wait_only(cli: Cli, store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    terminal = cli.terminal("wait", run_id)
    wait_for_reader(store)
    terminal.type("\x03")
    assert terminal.finish() == 130
    assert f"mnist-client follow {run_id}" in terminal.text


def test_cancel_says_what_came_of_it(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], submitted: Callable[..., str]
) -> None:
    running, queued, ended = owned(epochs=2), submitted(), owned(epochs=1).train()
    running.start()
    done = cli("cancel", queued, running.run_id, ended)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{queued} cancelled",
        f"{running.run_id} cancel requested; its worker stops within seconds",
        f"{ended} has already ended: succeeded",
    ]
    assert store.get(queued).state is RunState.CANCELLED
    assert store.get(running.run_id).cancel_requested
    assert done.stderr == f"to go on with it: mnist-client resume {running.run_id}\n"


def test_cancel_as_json(cli: Cli, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    done = cli("cancel", run_id, "--json")
    assert json.loads(done.stdout) == [{"id": run_id, "outcome": "cancelled", "state": "cancelled"}]


def test_cancel_knows_all_runs_before_it_cancels_any(cli: Cli, store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    assert cli("cancel", run_id, "ffffffffffff").returncode == 102
    assert store.get(run_id).state is RunState.QUEUED


def test_cancel_by_state_and_tag(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    request = TrainRequest(config=TrainConfig())
    marked, other = (store.submit(request, options=SubmitOptions(tags=(tag,))).run_id for tag in ("sweep", "x"))
    dependent = store.submit(request, options=SubmitOptions(after=marked)).run_id
    running = owned().run_id
    refused = cli("cancel", "--tag", "sweep")
    assert refused.returncode == 2
    assert "This would cancel 1 run, and there is no terminal to ask at. Say --yes." in refused.stderr
    done = cli("cancel", "--state", "queued", "--tag", "sweep", "--yes")
    assert (done.returncode, done.stdout) == (0, f"{marked} cancelled\n")
    states = [store.get(run_id).state for run_id in (marked, dependent, other, running)]
    assert states == ["cancelled", "cancelled", "queued", "running"]
    nothing = cli("cancel", "--tag", "sweep", "--yes", "--json")
    assert (nothing.returncode, json.loads(nothing.stdout)) == (0, [])
    assert "nothing was cancelled" in nothing.stderr


@pytest.mark.parametrize(
    ("answer", "code", "state"), [("y", 0, "cancelled"), ("n", 130, "queued"), ("\x03", 130, "queued")]
)
def test_cancel_asks_on_a_terminal(
    cli: Cli, store: RunStore, submitted: Callable[..., str], answer: str, code: int, state: str
) -> None:
    run_id = submitted()
    terminal = cli.terminal("cancel", "--state", "queued")
    terminal.read_until("Cancel 1 run? [y/N]:")
    terminal.type(answer + "\n")
    assert terminal.finish() == code
    assert store.get(run_id).state == state


@pytest.mark.parametrize("arguments", [(), ("last", "--state", "queued"), ("--state", "failed", "--yes")], ids=" ".join)
def test_cancel_wants_to_know_what(cli: Cli, submitted: Callable[..., str], arguments: tuple[str, ...]) -> None:
    submitted()
    assert cli("cancel", *arguments).returncode == 2


# ---- retry ----------------------------------------------------------------------------------------------------------


def test_retry_sends_the_same_request_with_its_options_again(cli: Cli, store: RunStore) -> None:
    request = TrainRequest(config=TrainConfig(epochs=2, seed=3))
    options = SubmitOptions(name="first", tags=("a",), priority="low", retries=2)
    failed = Owner(store, store.submit(request, options=options).run_id).fail()
    cancelled = store.submit(request).run_id
    store.cancel(cancelled)
    done = cli("retry", "first", cancelled, "first")
    first, second = (store.get(run_id) for run_id in done.stdout.split())
    assert first.request == second.request == request
    kept = first.options
    assert (kept.retry_of, kept.tags, kept.priority, kept.retries) == (failed, ("a",), "low", 2)
    assert kept.name != "first"
    assert second.options.retry_of == cancelled


def test_retry_refuses_what_has_succeeded_unless_forced(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    run_id = owned(epochs=1).train()
    failed = owned().fail()
    refused = cli("retry", failed, run_id)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "has succeeded: there is nothing to retry" in refused.stderr
    assert store.count() == 2  # all or none
    assert store.get(cli("retry", run_id, "--force").stdout.strip()).options.retry_of == run_id


def test_retry_of_a_living_run_is_not_finished(cli: Cli, submitted: Callable[..., str]) -> None:
    assert cli("retry", submitted()).returncode == 101
    assert cli("retry", "nobody").returncode == 102
    assert cli("retry", "last", "last", "--follow").returncode == 2


def test_retry_may_wait_and_exits_as_the_run(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> None:
    failed = owned().fail()
    process = cli.start("retry", failed, "--wait")
    run_id = eventually(lambda: next((r.id for r in store.latest(1) if r.id != failed), None), what="the retry")
    Owner(store, run_id).fail()
    process.communicate(timeout=20)
    assert process.returncode == 100


def test_sigterm_is_not_taken_for_ctrl_c(cli: Cli, store: RunStore, submitted: Callable[..., str]) -> None:
    process = cli.start("wait", submitted())
    wait_for_reader(store)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
