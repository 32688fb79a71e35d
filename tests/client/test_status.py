"""`status` of many runs: tables that fit, filters, pages, JSON, narrow code pages."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from mnist_shared.contracts.runs import RunRecord
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner
from tests.client.zoo import Zoo, announce

SCREENS = Path(__file__).with_name("screens")  # written anew with UPDATE_SCREENS=1


@pytest.fixture
def zoo(client: Redis) -> Zoo:
    return Zoo(client).backdate()


def compare(text: str, name: str) -> None:
    """With the screen of that name, as text."""
    file = SCREENS / f"{name}.txt"
    shown = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_the_screen_of_many_runs(cli: Cli, client: Redis, zoo: Zoo, columns: int) -> None:
    announce(client, "worker-1", run=zoo.ids["eager-lynx"])
    terminal = cli.terminal("status", columns=columns)
    assert terminal.finish() == 0
    assert max(map(len, terminal.lines)) <= columns
    compare(terminal.text, f"status_{columns}")


def test_in_a_pipe_each_run_has_one_line_with_all_there_is(cli: Cli, store: RunStore, zoo: Zoo) -> None:
    done = cli("status")
    header, *rows = done.stdout.splitlines()
    assert header.split() == [
        "RUN", "NAME", "KIND", "STATE", "PROGRESS", "LOSS", "BEST", "STARTS", "ETA", "WORKER", "TAGS", "AGE", "NOTE",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == [record.id for record in store.latest(20)]
    by_name = {row.split()[1]: row.split()[2:] for row in rows}
    assert by_name["eager-lynx"] == [
        "train", "running", "6/15", "43%", "▅▄▃▃▂▂", "99.08%", "7m49s", "gpu-machine-17-b2f0", "2h",
    ]  # fmt: skip
    assert by_name["fresh-moth"] == ["evaluate", "succeeded", "99.27%", "worker-1", "2h"]
    failed = next(row for row in rows if "calm-hare" in row)
    assert failed.endswith(
        f"The volume is full. Free some space on it. Next: mnist-client resume {zoo.ids['calm-hare']}"
    )
    assert done.stderr == (
        "1 running, 1 queued, 1 waiting for another, 2 succeeded, 2 failed, 1 cancelled; no worker\n"
    )


def test_filters_order_and_pages_reach_the_store(cli: Cli, zoo: Zoo) -> None:
    words = "--state ended,queued --kind train --tag sweep --sort accuracy --reverse -n 1 --page 1 --json"
    listed = json.loads(cli("status", *words.split()).stdout)
    assert [record["options"]["name"] for record in listed] == ["brisk-otter"]


def test_what_cannot_be_asked_for_is_a_usage_error_with_a_suggestion(cli: Cli) -> None:
    for arguments, words in {
        ("--state", "faild"): "there is no 'faild'. Did you mean failed?",
        ("--all", "--page", "2"): "--all goes with neither",
        ("-w", "0"): "--interval: 0 s is too little",
    }.items():
        done = cli("status", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr


def test_the_rest_of_many_runs_is_counted(cli: Cli, submitted: Callable[..., str]) -> None:
    for _ in range(25):
        submitted()
    done = cli("status")
    assert len(done.stdout.splitlines()) == 21
    assert done.stderr == "0 running, 25 queued; no worker; 20 of 25 shown; --page 2 for more\n"
    second = cli("status", "--page", "2")
    assert len(second.stdout.splitlines()) == 6
    assert second.stderr.endswith("; 21-25 of 25 shown\n")
    assert len(cli("status", "--all").stdout.splitlines()) == 26
    some = cli("status", "-n", "2", "--state", "queued")
    assert some.stderr.endswith("; 2 of more shown; --page 2 for more\n")


def test_a_queue_that_is_paused_says_so(cli: Cli, client: Redis, submitted: Callable[..., str]) -> None:
    submitted()
    Queue(client).pause()
    announce(client, "worker-1", state="drained")
    said = cli("status").stderr
    assert re.search(r"; the queue is paused for \ds \(queue resume\); 1 worker \(1 drained\)$", said.rstrip())


def test_without_a_run_it_says_how_to_make_one(cli: Cli) -> None:
    done = cli("status")
    assert (done.returncode, done.stdout) == (0, "")
    assert "mnist-client submit train" in done.stderr
    assert cli("status", "--state", "failed").stderr == "no such runs\n"


def test_json_is_the_records_own(cli: Cli, store: RunStore, zoo: Zoo) -> None:
    listed = json.loads(cli("status", "--json").stdout)
    records = [RunRecord.model_validate_json(json.dumps(one)) for one in listed]
    assert records == store.latest(20)
    one = json.loads(cli("--json", "status", "eager-lynx").stdout)
    assert RunRecord.model_validate_json(json.dumps(one)) == store.get(zoo.ids["eager-lynx"])
    two = json.loads(cli("status", "happy-toad", "calm-hare", "--json").stdout)
    assert [record["options"]["name"] for record in two] == ["happy-toad", "calm-hare"]


def test_json_of_no_runs_is_an_empty_list(cli: Cli) -> None:
    assert json.loads(cli("status", "--json").stdout) == []


def test_colours_are_for_terminals_that_want_them(cli: Cli, zoo: Zoo) -> None:
    del cli.environment["NO_COLOR"]
    assert "\x1b" not in cli("status").stdout
    wants = cli.terminal("status")
    assert wants.finish() == 0
    assert "\x1b[32m" in wants.raw
    for colour in (30, 33, 34, 37, 90, 97):  # black, yellow, blue, white, bright black, bright white:
        assert f"\x1b[{colour}m" not in wants.raw  # a light or a dark ground swallows them
    for arguments, variables in ((("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})):
        plain = cli.terminal(*arguments, "status", **variables)
        assert plain.finish() == 0
        assert "\x1b" not in plain.raw


def test_control_characters_of_a_record_do_not_reach_the_terminal(cli: Cli, owned: Callable[..., Owner]) -> None:
    run_id = owned().fail("bad\x1b[2Jthing\nwith two lines\u202e", hint="")
    for arguments in (("status",), ("status", run_id), ("follow", run_id)):
        terminal = cli.terminal(*arguments)
        terminal.finish()
        assert "\x1b[2J" not in terminal.raw
        assert "\u202e" not in terminal.raw
        assert "with two lines" in terminal.text


@pytest.mark.parametrize(
    ("encoding", "message"),
    [("ascii", "Zurich... -> ? full"), ("cp1252", "Zürich… -> ? full"), ("cp437", "Zürich... -> ? full")],
)
def test_a_narrow_code_page_gets_what_it_can_show(
    cli: Cli, owned: Callable[..., Owner], encoding: str, message: str
) -> None:
    owner = owned(epochs=2)
    owner.start()
    owner.epoch(1)
    owner.fail("Zürich… → ✗ full", hint="")
    done = cli.in_bytes("status", PYTHONIOENCODING=encoding)
    text = done.stdout.decode(encoding)
    assert message in text
    assert " = " in text  # the bar of the loss
    assert done.returncode == 0
