"""`status -w`: the same again and again, in place on a terminal."""

import json
import signal
from collections.abc import Callable

import pytest
from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner
from tests.client.terminal import Terminal
from tests.client.zoo import Zoo, announce
from tests.conftest import Server

ENTER, LEAVE, HIDE, SHOW = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h"


def drawn(terminal: Terminal, text: str) -> list[str]:
    """The first drawing that has `text` in it."""
    terminal.read_until(text)
    while not (found := [frame for frame in terminal.frames if any(text in line for line in frame)]):
        terminal.read_more()
    return found[0]


def test_it_is_drawn_in_place_and_what_was_last_seen_stays(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=15)
    owner.start()
    terminal = cli.terminal("status", "-w", "0.2")
    first = drawn(terminal, "0/15 0%")
    assert first[0].startswith("1 running, 0 queued; no worker")
    assert first[-1] == "every 0.2 s; q ends"
    owner.epoch(1)
    owner.batch(2, 404)
    drawn(terminal, "1/15 43%")
    owner.succeed()
    drawn(terminal, "15/15" if owner.epochs == 1 else "succeeded")
    terminal.type("q")
    assert terminal.finish() == 0
    assert [terminal.raw.count(mark) for mark in (ENTER, LEAVE, HIDE, SHOW)] == [1, 1, 1, 1]
    drawings, after = terminal.raw.split(LEAVE)
    assert "\n" not in drawings.split(ENTER)[1].replace("\r\n", "")
    assert drawings.count("\x1b[2J") == 0  # nothing is cleared: each line is drawn over
    assert owner.run_id in after
    assert "succeeded" in after


@pytest.mark.parametrize(("columns", "rows"), [(60, 12), (100, 30), (200, 30)])
def test_a_frame_fits_the_screen(cli: Cli, client: Redis, columns: int, rows: int) -> None:
    Zoo(client).backdate()
    announce(client, "worker-1")
    terminal = cli.terminal("status", "-w", "5", columns=columns, rows=rows)
    frame = drawn(terminal, "q ends")
    assert len(frame) <= rows
    assert max(map(len, frame)) < columns
    assert ("more lines; every 5 s" in frame[-1]) == (rows == 12)
    terminal.type("\x03")
    assert terminal.finish() == 0
    assert "Traceback" not in terminal.text


def test_a_terminal_that_changes_its_size_is_drawn_anew_at_once(cli: Cli, client: Redis) -> None:
    Zoo(client).backdate()
    terminal = cli.terminal("status", "-w", "600", columns=100)
    drawn(terminal, "KIND")
    num_drawn = len(terminal.frames)
    terminal.resize(columns=60)
    while len(terminal.frames) == num_drawn:
        terminal.read_more()
    assert max(map(len, terminal.frames[-1])) < 60
    assert not any("KIND" in line for line in terminal.frames[-1])
    terminal.type("q")
    assert terminal.finish() == 0


def test_one_run_is_watched_until_it_ends(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=2)
    owner.start()
    terminal = cli.terminal("status", owner.run_id, "--watch=0.2")
    drawn(terminal, "running on worker-1")
    owner.fail()
    assert terminal.finish() == 0
    assert "The volume is full." in terminal.raw.split(LEAVE)[1]


def test_without_a_terminal_it_is_printed_again_and_again(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned(epochs=2)
    process = cli.start("status", "last", owner.run_id, "-w0.2")
    assert process.stdout is not None
    seen = []
    while seen.count("\n") < 2:  # an empty line between two tables
        seen.append(process.stdout.readline())
    owner.fail()
    rest, stderr = process.communicate(timeout=20)
    assert process.returncode == 0  # all of them have ended
    assert "\x1b" not in rest
    assert "failed" in rest.splitlines()[-1]
    assert stderr == ""


def test_json_is_a_list_a_line(cli: Cli, owned: Callable[..., Owner]) -> None:
    owned(epochs=2)
    process = cli.start("status", "--json", "-w", "0.2")
    assert process.stdout is not None
    for _ in range(2):
        assert json.loads(process.stdout.readline())[0]["state"] == "running"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_dumb_terminal_gets_no_escape_sequences(cli: Cli, owned: Callable[..., Owner]) -> None:
    owned(epochs=2)
    terminal = cli.terminal("status", "-w", "0.2", TERM="dumb")
    while terminal.text.count("RUN ") < 2:
        terminal.read_more()
    terminal.type("\x03")
    assert terminal.finish() == 0
    assert "\x1b" not in terminal.raw


def test_an_outage_is_told_and_what_was_seen_stays(lonely: Cli, own_server: Server) -> None:
    store = RunStore(connect(own_server.url, retries=20))
    run_id = store.submit(TrainRequest(config=TrainConfig(epochs=3))).run_id
    terminal = lonely.terminal("status", "-w", "0.2", MNIST_BROKER_URL=own_server.url)
    drawn(terminal, run_id)
    with own_server.client() as admin:
        admin.execute_command("WAITAOF", 1, 0, 2000)
    own_server.kill()
    frame = drawn(terminal, "trying again")
    assert any(run_id in line for line in frame)
    own_server.start()
    num_drawn = len(terminal.frames)
    while not any("q ends" in line for line in terminal.frames[-1]) or len(terminal.frames) == num_drawn:
        terminal.read_more()
    terminal.type("q")
    assert terminal.finish() == 0


def test_a_run_that_does_not_exist_is_not_watched(cli: Cli) -> None:
    terminal = cli.terminal("status", "nosuch-run", "-w")
    assert terminal.finish() == 102
    assert ENTER not in terminal.raw
