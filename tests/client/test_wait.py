"""`wait` and `cancel`."""

import json
import signal
from collections.abc import Callable

from mnist_shared.contracts.runs import RunState
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli, wait_for_reader
from tests.client.owner import Owner


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
    assert done.stderr == f"to go on with it: mnist-client submit resume {running.run_id}\n"


def test_cancel_as_json(cli: Cli, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    done = cli("cancel", run_id, "--json")
    assert json.loads(done.stdout) == [{"id": run_id, "outcome": "cancelled", "state": "cancelled"}]


def test_cancel_knows_all_runs_before_it_cancels_any(cli: Cli, store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    assert cli("cancel", run_id, "ffffffffffff").returncode == 102
    assert store.get(run_id).state is RunState.QUEUED


def test_sigterm_is_not_taken_for_ctrl_c(cli: Cli, store: RunStore, submitted: Callable[..., str]) -> None:
    process = cli.start("wait", submitted())
    wait_for_reader(store)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
