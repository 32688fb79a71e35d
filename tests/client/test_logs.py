"""`logs`: from the volume, to the run's end, and clear where there is none."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_client.volume.log_file import LogReader, parse
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli, wait_for_reader
from tests.client.owner import Owner
from tests.client.volume_files import run_folder, write_log

FIRST = "2026-11-23T14:00:00Z INFO worker-1 attempt 1: training on digits"
SECOND = "2026-11-23T14:00:05Z WARNING worker-2 attempt 2: checkpoint rejected"
THIRD = "2026-11-23T14:00:09Z ERROR worker-2 attempt 2: failed"


def test_logs_shows_what_the_workers_wrote(cli: Cli, owned: Callable[..., Owner], tmp_path: Path) -> None:
    owner = owned()
    owner.start()
    write_log(
        run_folder(tmp_path, owner.run_id), FIRST, SECOND, "Traceback (most recent call last):", "  a \x1b[2Jline"
    )
    done = cli("logs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [FIRST, SECOND, "Traceback (most recent call last):", "  a  [2Jline"]
    assert cli("logs", owner.run_id[:6], "--tail", "3").stdout.splitlines()[0] == SECOND
    assert cli("logs", "--tail", "0").stdout == ""


def test_logs_as_json_is_an_object_a_line(cli: Cli, owned: Callable[..., Owner], tmp_path: Path) -> None:
    write_log(run_folder(tmp_path, owned().run_id), FIRST, THIRD, "Traceback (most recent call last):")
    first, third, traceback = map(json.loads, cli("logs", "--json").stdout.splitlines())
    assert first == {
        "at": "2026-11-23T14:00:00Z",
        "level": "INFO",
        "worker": "worker-1",
        "attempt": 1,
        "text": "training on digits",
    }
    assert third["level"] == "ERROR"
    assert traceback == third | {"text": "Traceback (most recent call last):"}


def test_logs_of_a_terminal_are_coloured_by_level(cli: Cli, owned: Callable[..., Owner], tmp_path: Path) -> None:
    write_log(run_folder(tmp_path, owned().run_id), FIRST, THIRD)
    terminal = cli.terminal("logs", NO_COLOR="")
    assert terminal.finish() == 0
    assert terminal.lines == [FIRST, THIRD]
    assert f"\x1b[31m{THIRD}" in terminal.raw


def test_following_waits_for_the_run_shows_what_is_written_and_ends_with_it(
    cli: Cli, store: RunStore, submitted: Callable[..., str], tmp_path: Path
) -> None:
    run_id = submitted()
    process = cli.start("logs", "-f")
    assert process.stderr
    assert process.stdout
    assert "is queued; waiting for a worker" in process.stderr.readline()
    owner = Owner(store, run_id)
    folder = run_folder(tmp_path, run_id)
    write_log(folder, FIRST)
    assert process.stdout.readline() == f"{FIRST}\n"
    owner.fail()
    write_log(folder, THIRD)  # a worker's last line may come after its last word to the broker
    assert process.communicate(timeout=10) == (f"{THIRD}\n", f"run {run_id} failed\n")
    assert process.returncode == 0


def test_ctrl_c_ends_the_looking_on_alone(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path
) -> None:
    owner = owned()
    write_log(run_folder(tmp_path, owner.run_id), FIRST)
    process = cli.start("logs", "-f")
    assert process.stdout
    assert process.stdout.readline() == f"{FIRST}\n"
    wait_for_reader(store)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "goes on" in talk


def test_a_volume_that_is_not_shared_is_named_with_what_to_do(cli: Cli, owned: Callable[..., Owner]) -> None:
    owner = owned()
    owner.train()
    for arguments in (("logs",), ("checkpoints", "list"), ("checkpoints", "pull")):
        done = cli(*arguments)
        assert done.returncode == 1
        assert f"Run {owner.run_id} was begun on worker-1" in done.stderr
        assert "does not share the workers' volume" in done.stderr
        assert "--storage" in done.stderr


def test_files_of_one_run_alone_that_are_gone_are_no_unshared_volume(
    cli: Cli, owned: Callable[..., Owner], tmp_path: Path
) -> None:
    run_folder(tmp_path, owned(worker="worker-1").train())
    gone = owned(worker="worker-2").train()
    done = cli("logs", gone)
    assert done.returncode == 1
    assert f"Run {gone} has left no files" in done.stderr


def test_a_run_that_no_worker_has_begun_has_no_log(
    cli: Cli, submitted: Callable[..., str], owned: Callable[..., Owner], tmp_path: Path
) -> None:
    run_id = submitted()
    done = cli("logs")
    assert (done.returncode, done.stdout) == (101, "")
    assert "still queued" in done.stderr
    cli("cancel", run_id)
    done = cli("logs")
    assert done.returncode == 101
    assert "no worker had begun it when it was cancelled" in done.stderr
    assert cli("logs", "no-such-run").returncode == 102
    assert cli("logs", "--tail", "-1").returncode == 2
    run_folder(tmp_path, owned().run_id)
    done = cli("logs")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing is in the log" in done.stderr


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_the_last_lines_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("mnist_client.volume.log_file.BLOCK_BYTES", 5)
    lines = ["one", "", "a longer line than a block", "four", "five"]
    for end in ("\n", ""):
        (tmp_path / "log").write_text("\n".join(lines) + end)
        reader = LogReader(tmp_path / "log")
        reader.skip_to_last(count)
        assert reader.read_rest() == (lines[-count:] if count else [])


def test_a_log_that_grows_is_read_in_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    reader = LogReader(path)
    assert reader.read() == []
    path.write_text("one\ntw")
    assert reader.read() == ["one"]
    with path.open("a") as file:
        file.write("o\nthree")
    assert reader.read() == ["two"]
    assert reader.read_rest() == ["three"]
    path.write_text("anew\n")
    assert reader.read() == ["anew"]


def test_any_other_line_is_all_text() -> None:
    assert parse("not one of ours").text == "not one of ours"
    assert parse(SECOND).attempt == 2
