"""What goes wrong is one line that says what to do, and an exit code."""

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from mnist_client.stack.programs import find_server
from tests.client.conftest import COMMAND, Cli
from tests.client.owner import Owner
from tests.conftest import Server, free_port

ONE_LINE = re.compile(r"error: [^\n]+\n")
NEEDING_A_BROKER = [
    ("submit", "train"),
    ("submit", "resume"),
    ("submit", "evaluate"),
    ("evaluate",),
    ("predict", "seven.png"),
    ("export", "--format", "onnx"),
    ("verify",),
    ("status",),
    ("status", "last"),
    ("follow",),
    ("wait", "last"),
    ("cancel", "last"),
    ("workers",),
]


@pytest.fixture
def garbage() -> Iterator[int]:
    """A port where something answers that is no Redis server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.recv(1)

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("command", NEEDING_A_BROKER, ids=" ".join)
def test_no_broker_answers(lonely: Cli, command: tuple[str, ...]) -> None:
    port = free_port()
    done = lonely("--broker", f"redis://:secret@127.0.0.1:{port}/0", *command)
    assert (done.returncode, done.stdout) == (105, "")
    assert ONE_LINE.fullmatch(done.stderr)
    assert f"127.0.0.1:{port}" in done.stderr
    assert "MNIST_BROKER_URL" in done.stderr
    assert "secret" not in done.stderr


def test_no_broker_is_configured(lonely: Cli) -> None:
    done = lonely("status")
    assert done.returncode == 105
    assert ONE_LINE.fullmatch(done.stderr)
    assert "No broker is configured and no embedded stack is running" in done.stderr
    assert "mnist-client up" in done.stderr


def test_a_wrong_password(lonely: Cli, own_server: Server) -> None:
    with own_server.client() as admin:
        admin.config_set("requirepass", "right")
    for url in (own_server.url, own_server.url.replace("//", "//:wrong@")):
        done = lonely("status", MNIST_BROKER_URL=url)
        assert done.returncode == 105
        assert ONE_LINE.fullmatch(done.stderr)
        assert "password" in done.stderr
        assert "wrong" not in done.stderr.replace("WRONGPASS", "")
    assert lonely("status", MNIST_BROKER_URL=own_server.url.replace("//", "//:right@")).returncode == 0


@pytest.mark.parametrize("command", [("status",), ("submit", "train"), ("follow",)], ids=" ".join)
def test_what_answers_is_no_redis_server(lonely: Cli, garbage: int, command: tuple[str, ...]) -> None:
    done = lonely(*command, MNIST_BROKER_URL=f"redis://127.0.0.1:{garbage}/0")
    assert done.returncode == 105
    assert ONE_LINE.fullmatch(done.stderr)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1", "redis://127.0.0.1:port/0"])
def test_a_broker_that_is_no_url(lonely: Cli, url: str) -> None:
    done = lonely("--broker", url, "status")
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr)
    assert "redis://" in done.stderr


@pytest.mark.parametrize(
    "command", [("status",), ("follow",), ("wait",), ("cancel",), ("submit", "resume"), ("evaluate",)], ids=" ".join
)
def test_an_unknown_run(cli: Cli, command: tuple[str, ...]) -> None:
    done = cli(*command, "0123456789ab")
    assert done.returncode == 102
    assert ONE_LINE.fullmatch(done.stderr)
    assert "mnist-client status" in done.stderr


@pytest.mark.parametrize("name", ["last", "last~3", "xyz", "", "../../etc", "last~x", "\x1b[31mred"])
def test_a_name_that_is_no_run(cli: Cli, name: str) -> None:
    done = cli("status", name)
    assert done.returncode in (2, 102)
    assert ONE_LINE.fullmatch(done.stderr)
    assert "\x1b" not in done.stderr


def test_an_ambiguous_prefix_names_some(cli: Cli, submitted: Callable[..., str]) -> None:
    for run_id in ("abc000000000", "abc000000001"):
        submitted(run_id=run_id)
    done = cli("follow", "abc")
    assert done.returncode == 2
    assert "abc000000000, abc000000001" in done.stderr
    assert cli("status", "abc000000001").returncode == 0


def test_a_command_that_does_not_exist_is_guessed_at(lonely: Cli) -> None:
    done = lonely("stauts")
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr)
    assert "'status'" in done.stderr


def test_a_damaged_record_is_told_in_one_line(cli: Cli, submitted: Callable[..., str], server: Server) -> None:
    run_id = submitted()
    with server.client() as admin:
        admin.hset(f"mnist:run:{run_id}", "request", '{"schema_version": 7}')
    done = cli("status", run_id)
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr)
    assert "schema version 7" in done.stderr


def test_what_nobody_foresaw_is_one_line_with_a_way_to_see_more(cli: Cli, server: Server) -> None:
    with server.client() as admin:
        admin.set("mnist:runs", "not a sorted set")
    done = cli("status")
    assert done.returncode == 1
    assert ONE_LINE.fullmatch(done.stderr)
    assert "MNIST_DEBUG=1" in done.stderr
    assert "Traceback" in cli("status", MNIST_DEBUG="1").stderr


def test_a_closed_pipe_is_no_error(cli: Cli, owned: Callable[..., Owner]) -> None:
    run_id = owned(epochs=90).train()
    shell = subprocess.run(
        ["bash", "-c", f"'{COMMAND}' follow {run_id} --json | head -n 1; echo ${{PIPESTATUS[0]}}"],
        env=cli.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert shell.stderr == ""
    assert shell.stdout.splitlines()[1] == "141"


def test_a_narrow_code_page_is_no_error(cli: Cli, owned: Callable[..., Owner]) -> None:
    run_id = owned().fail("Der Datenträger ist voll — 数据")
    done = cli("status", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Der Datentrager ist voll - ??" in done.stdout
    terminal = cli.terminal("follow", run_id, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert terminal.finish() == 100
    assert "Datentrager" in terminal.text


def test_the_server_is_there_for_these_tests() -> None:
    assert find_server()
