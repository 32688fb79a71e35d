"""The users of `deploy/redis`: what each role needs it has, and what it does not need is refused."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import TrainRequest
from mnist_shared.contracts.runs import RunState, SubmitOptions
from mnist_shared.storage.connection import connect
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from tests.deploy.conftest import GuardedServer
from tests.processes import COUNTING, TRAINING, Worker, eventually, wait_for_state

Called = subprocess.CompletedProcess[str]
COMMAND = Path(sys.executable).with_name("mnist-client")
FOR_OPERATORS = "This is for the role `operator`: give its user and password in MNIST_BROKER_URL or --broker."
LEASE_SECONDS = "3"


def count_to(steps: int, *, milliseconds: int = 1) -> TrainRequest:
    return TrainRequest(config=TrainConfig(dataset="digits", epochs=steps, log_interval=milliseconds))


def refusals(server: GuardedServer) -> list[str]:
    """What ACL LOG holds, in words."""
    with server.client_as("admin") as admin:
        return [
            f"{entry['username']}: {entry['reason']} {entry['object']} ({entry['context']})"
            for entry in admin.acl_log()
        ]


@pytest.fixture
def environment(environment: dict[str, str], guarded: GuardedServer) -> dict[str, str]:
    return environment | {"MNIST_LEASE_SECONDS": LEASE_SECONDS, "MNIST_NUM_THREADS": "1"}


@pytest.fixture
def start(environment: dict[str, str], guarded: GuardedServer, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker that has the role of one, its password in a file."""
    started: list[Worker] = []

    def start_worker(name: str, *, command: list[str] = COUNTING) -> Worker:
        role = {
            "MNIST_BROKER_URL": f"redis://worker@127.0.0.1:{guarded.port}/0",
            "MNIST_BROKER_PASSWORD_FILE": str(guarded.folder / "roles" / "worker" / "password"),
        }
        worker = Worker(name, environment=environment | role, command=command, folder=tmp_path)
        started.append(worker)
        with guarded.client_as("admin") as admin:
            return worker.wait_until_ready(admin)

    yield start_worker
    for worker in started:
        worker.kill()


@pytest.fixture
def command(environment: dict[str, str], guarded: GuardedServer) -> Callable[..., Called]:
    """Call `mnist-client` in a role."""

    def call(role: str, *arguments: str) -> Called:
        access = {
            "MNIST_BROKER_URL": f"redis://{role}@127.0.0.1:{guarded.port}/0",
            "MNIST_BROKER_PASSWORD_FILE": str(guarded.folder / "roles" / role / "password"),
        }
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=environment | access,
            capture_output=True,
            text=True,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )

    return call


@pytest.fixture
def client(command: Callable[..., Called]) -> Callable[..., Called]:
    return partial(command, "client")


@pytest.fixture
def operator(command: Callable[..., Called]) -> Callable[..., Called]:
    return partial(command, "operator")


@pytest.fixture
def store(guarded: GuardedServer) -> Iterator[RunStore]:
    """A client's store."""
    client = connect(guarded.url_of("client"))
    yield RunStore(client, lease_seconds=float(LEASE_SECONDS))
    client.close()


@pytest.fixture(autouse=True)
def empty(guarded: GuardedServer) -> None:
    with guarded.client_as("admin") as admin:
        admin.flushall()
        admin.acl_log_reset()


def test_the_main_job_is_done_under_the_roles(
    guarded: GuardedServer, start: Callable[..., Worker], client: Callable[..., Called], operator: Callable[..., Called]
) -> None:
    start("worker-1", command=TRAINING)
    trained = client("submit", "train", "--dataset", "digits", "--epochs", "1", "--follow")
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.strip()
    evaluated = client("evaluate", run_id)
    assert evaluated.returncode == 0, evaluated.stderr
    for command in (["status", run_id], ["follow", run_id]):
        done = client(*command)
        assert done.returncode == 0, done.stderr
    with guarded.client_as("admin") as admin:
        admin.flushall()
        rebuilt = operator("reindex")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert client("status", run_id).returncode == 0
        assert refusals(guarded) == []
        admin.flushall()
        refused = client("reindex")
        assert refused.returncode == 105
        assert f" {FOR_OPERATORS}" in refused.stderr
        assert "user_script" not in refused.stderr
        assert not admin.keys("mnist:run:*")  # nothing half made
        assert not admin.exists("mnist:ids", "mnist:runs", "mnist:names")


def test_recovery_hand_back_and_clean_up_need_no_more(
    guarded: GuardedServer, start: Callable[..., Worker], store: RunStore
) -> None:
    first = start("first")
    lost = store.submit(count_to(300, milliseconds=10)).run_id
    eventually(lambda: store.get(lost).checkpoint, what="a checkpoint")
    first.kill()
    second = start("second")
    after = store.submit(count_to(1), options=SubmitOptions(after=lost, priority="low", tags=("a",))).run_id
    never = store.submit(count_to(1), options=SubmitOptions(after=after)).run_id
    store.cancel(never)
    eventually(lambda: store.get(lost).attempt == 2, what="recovery")
    assert second.terminate() == 0
    assert store.get(lost).state is RunState.QUEUED
    with guarded.client_as("admin") as admin:
        admin.lpush(store.keys.messages("high"), "garbage")
    start("third")
    assert wait_for_state(store, lost).state is RunState.SUCCEEDED
    assert wait_for_state(store, after).state is RunState.SUCCEEDED
    assert Queue(store.redis).view().quarantined == 1
    running = store.submit(count_to(1000, milliseconds=10), options=SubmitOptions(priority="high")).run_id
    wait_for_state(store, running, RunState.RUNNING)
    store.cancel(running)
    assert wait_for_state(store, running).state is RunState.CANCELLED
    with connect(guarded.url_of("worker")) as worker:
        pruned = RunStore(worker).prune(keep_days=0)  # what a worker does with --keep-days
    assert set(pruned) == {lost, after, never, running}
    assert refusals(guarded) == []


def test_what_concerns_everybody_is_for_operators(
    guarded: GuardedServer,
    start: Callable[..., Worker],
    client: Callable[..., Called],
    operator: Callable[..., Called],
    store: RunStore,
) -> None:
    start("worker-1")
    for words in ("queue pause", "workers drain worker-1", "queue resume", "workers undrain worker-1"):
        refused = client(*words.split())
        assert (refused.returncode, refused.stdout) == (105, ""), words
        assert FOR_OPERATORS in refused.stderr
        done = operator(*words.split())
        assert done.returncode == 0, (words, done.stderr)
    with guarded.client_as("admin") as admin:
        admin.acl_log_reset()
    run_id = store.submit(count_to(2)).run_id
    assert wait_for_state(store, run_id).state is RunState.SUCCEEDED
    for look in (client, operator):
        assert look("queue").returncode == 0
        assert "refuses" not in look("doctor").stderr
    assert operator("cancel", run_id).returncode == 0
    assert refusals(guarded) == []


AS_KEDA_DOES = """
local kind = redis.call('type', KEYS[1]).ok
return redis.call(kind == 'zset' and 'zcard' or 'llen', KEYS[1])
"""
REFUSED_IN_A_SCRIPT = "ACL failure|NOPERM|not allowed|The user executing the script can't"  # the last: Redis 7.0
FORBIDDEN_TO_OPERATORS = [
    "RPOP mnist:queue",
    "LPOP mnist:queue",
    "BRPOP mnist:queue 1",
    "LMOVE mnist:queue mnist:quarantine LEFT LEFT",
    "LREM mnist:queue 0 x",
    "LTRIM mnist:queue 1 0",
    "DEL mnist:queue",
    "RENAME mnist:queue mnist:run:x",
    "SET mnist:queue x",
    "DEL mnist:run:0123456789ab",
    "DEL mnist:runs",
    "ZADD mnist:leases 1 0123456789ab",  # to own a run
    "SET mnist:worker:x {}",
    "SET mnist:hold 1",  # to stop recovery
    "LPUSH mnist:quarantine x",
]
FORBIDDEN_TO_CLIENTS = [
    *FORBIDDEN_TO_OPERATORS,
    "SET mnist:paused 1",
    "DEL mnist:paused",
    "SADD mnist:drained worker-1",
    "SREM mnist:drained worker-1",
    "DEL mnist:events:0123456789ab",
]
FORBIDDEN_TO_ALL = [
    "GET other:key",
    "SET other:key 1",
    "GET mnist",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "DBSIZE",
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "ACL LIST",
    "ACL WHOAMI",
    "ACL SETUSER client +@all",
    "SHUTDOWN NOSAVE",
    "BGREWRITEAOF",
    "SAVE",
    "MONITOR",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 1000",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "FUNCTION LIST",
    "REPLICAOF NO ONE",
    "SWAPDB 0 1",
    "MIGRATE 127.0.0.1 1 mnist:queue 0 1",
    "DUMP mnist:queue",
    "RESTORE mnist:x 0 x",
    "SORT mnist:queue",
    "OBJECT ENCODING mnist:queue",
    "MEMORY USAGE mnist:queue",
    "SUBSCRIBE other",
    "PSUBSCRIBE *",
    "PUBLISH other x",
    "MODULE LIST",
    "LATENCY LATEST",
    "SLOWLOG GET",
]
FORBIDDEN_TO_READERS = [
    "LPUSH mnist:queue x",
    "HSET mnist:run:0123456789ab state succeeded",
    "DEL mnist:run:0123456789ab",
    "SET mnist:paused 1",
    "XRANGE mnist:events:0123456789ab - +",
    "PUBLISH mnist:/0.celery.pidbox x",
]


@pytest.mark.parametrize(
    ("role", "line"),
    [
        *(("client", line) for line in [*FORBIDDEN_TO_ALL, *FORBIDDEN_TO_CLIENTS, *FORBIDDEN_TO_READERS[-1:]]),
        *(("operator", line) for line in [*FORBIDDEN_TO_ALL, *FORBIDDEN_TO_OPERATORS, *FORBIDDEN_TO_READERS[-1:]]),
        *(("worker", line) for line in [*FORBIDDEN_TO_ALL, "DEL mnist:queue", "SET mnist:paused 1"]),
        *(("metrics", line) for line in [*FORBIDDEN_TO_ALL, *FORBIDDEN_TO_CLIENTS, *FORBIDDEN_TO_READERS]),
        *(("flower", line) for line in [*FORBIDDEN_TO_ALL, *FORBIDDEN_TO_CLIENTS, *FORBIDDEN_TO_READERS[:-1]]),
    ],
)
def test_what_a_role_does_not_need_is_refused_directly_and_in_a_script(
    guarded: GuardedServer, role: str, line: str
) -> None:
    words = line.split()
    with guarded.client_as(role) as client:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*words)
        with pytest.raises(redis.exceptions.ResponseError, match=REFUSED_IN_A_SCRIPT):
            client.eval("return redis.call(unpack(ARGV))", 0, *words)


def test_nobody_without_a_name_and_no_health_check_may_do_anything(guarded: GuardedServer) -> None:
    nobody = connect(f"redis://127.0.0.1:{guarded.port}/0", retries=0)
    with nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()
    with connect(f"redis://health:anything@127.0.0.1:{guarded.port}/0", retries=0) as health:
        assert health.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            health.get("mnist:queue")


def test_a_wrong_password_is_said_in_one_line(client: Callable[..., Called], guarded: GuardedServer) -> None:
    done = client("--broker", f"redis://client:wrong@127.0.0.1:{guarded.port}/0", "status")
    assert done.returncode == 105
    assert "refuses" in done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong@" not in done.stderr


def test_passwords_are_long_kept_and_only_their_digests_leave_the_folder(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "make-users.sh"
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "password").write_text("chosen by hand\n")

    def make() -> str:
        return subprocess.run(
            ["sh", str(script), str(tmp_path)], capture_output=True, text=True, check=True, timeout=20
        ).stdout

    first = make()
    assert make() == first
    passwords = {role.name: (role / "password").read_text().strip() for role in tmp_path.iterdir()}
    assert passwords["client"] == "chosen by hand"
    made = ("admin", "operator", "worker", "metrics", "flower")
    assert all(re.fullmatch("[0-9a-f]{64}", passwords[role]) for role in made)
    assert len(set(passwords.values())) == 6
    assert not any(password in first for password in passwords.values())
    assert (tmp_path / "worker" / "password").stat().st_mode & 0o077 == 0
    assert [line.split()[1] for line in first.splitlines()] == [
        *("default", "health", "admin", "client", "operator", "worker", "metrics", "flower")
    ]


def test_the_exporter_needs_no_more_than_its_role(guarded: GuardedServer) -> None:
    from mnist_worker.metrics import read_metrics

    with connect(guarded.url_of("metrics")) as reader:
        assert list(read_metrics(reader))
        length = reader.eval(AS_KEDA_DOES, 1, "mnist:queued")
        assert length == 0
    assert refusals(guarded) == []


def test_a_restart_of_the_server_loses_nothing_that_the_roles_have_written(
    start_guarded: Callable[[], GuardedServer],
) -> None:
    server = start_guarded()
    with connect(server.url_of("client")) as client, connect(server.url_of("worker")) as worker:
        run_id = RunStore(client).submit(count_to(1)).run_id
        assert RunStore(worker).claim(run_id, worker="worker-1")
    server.stop()
    server.start()
    with connect(server.url_of("client")) as client:
        assert RunStore(client).get(run_id).state is RunState.RUNNING
