"""What happens to runs and followers when the server is killed, frozen, flushed or cut off."""

import signal
import threading
import time
from collections.abc import Callable

from redis import Redis

from mnist_shared.contracts.runs import RunState
from mnist_shared.errors import BrokerUnreachable
from mnist_shared.storage.connection import connect
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.runs import RunStore
from tests.conftest import Server
from tests.faults.conftest import LEASE_SECONDS, count_to, steps_told
from tests.processes import Worker, eventually, wait_for_state
from tests.proxy import Proxy

Start = Callable[..., Worker]


class Follower(threading.Thread):
    """Follows a run from its beginning, over every breakdown, as the client does."""

    def __init__(self, url: str, run_id: str) -> None:
        super().__init__(daemon=True)
        self._url, self._run_id = url, run_id
        self.types: list[str] = []

    def run(self) -> None:
        log, last = EventLog(connect(self._url)), "0"
        while not self.types or self.types[-1] != "finished":
            try:
                for told in log.follow(self._run_id, after=last):
                    if told and told.event.type != "batch":
                        last = told.id
                        self.types.append(told.event.type)
            except BrokerUnreachable:
                time.sleep(0.1)


def follow(server: Server, run_id: str) -> Follower:
    follower = Follower(server.url, run_id)
    follower.start()
    return follower


def told_once_and_all(follower: Follower, log: EventLog, run_id: str, steps: int) -> None:
    follower.join(20)
    assert follower.types == [told.event.type for told in log.replay(run_id)]
    assert steps_told(log, run_id) == list(range(1, steps + 1))


def test_a_killed_server_comes_back_with_every_run_and_followers_miss_nothing(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, own_server: Server
) -> None:
    counting("worker-1")
    run_id = begun(count_to(300, milliseconds=20))
    waiting = store.submit(count_to(2)).run_id
    follower = follow(own_server, run_id)
    time.sleep(1.2)  # AOF everysec: what is a second old is on the disk
    own_server.kill()
    time.sleep(LEASE_SECONDS * 1.5)
    own_server.start()
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt) == (RunState.SUCCEEDED, 1)
    told_once_and_all(follower, log, run_id, 300)
    assert wait_for_state(store, waiting).state is RunState.SUCCEEDED


def test_a_server_frozen_for_longer_than_a_lease_costs_no_run_its_owner(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, own_server: Server
) -> None:
    for name in ("worker-1", "worker-2"):
        counting(name)
    runs = [begun(count_to(400, milliseconds=20)) for _ in range(2)]
    follower = follow(own_server, runs[0])
    assert own_server.process
    own_server.process.send_signal(signal.SIGSTOP)
    time.sleep(LEASE_SECONDS * 3)
    own_server.process.send_signal(signal.SIGCONT)
    for run_id in runs:
        record = wait_for_state(store, run_id)
        assert (record.state, record.attempt) == (RunState.SUCCEEDED, 1)
        assert steps_told(log, run_id) == list(range(1, 401))
    told_once_and_all(follower, log, runs[0], 400)


def test_killed_connections_are_made_anew(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, own_server: Server, redis: Redis
) -> None:
    worker = counting("worker-1")
    run_id = begun(count_to(200, milliseconds=20))
    follower = follow(own_server, run_id)
    for _ in range(5):
        redis.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.3)
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt) == (RunState.SUCCEEDED, 1)
    told_once_and_all(follower, log, run_id, 200)
    assert wait_for_state(store, store.submit(count_to(2)).run_id).state is RunState.SUCCEEDED
    assert worker.process.poll() is None


def test_a_worker_that_no_answer_reaches_is_replaced_and_commits_nothing(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, own_server: Server
) -> None:
    proxy = Proxy(own_server.port)
    cut_off = counting("cut-off", proxy)
    run_id = begun(count_to(400, milliseconds=20))
    counting("worker-2")
    proxy.cut("requests")
    eventually(lambda: store.get(run_id).worker == "worker-2", what="recovery")
    proxy.heal()
    record = wait_for_state(store, run_id)
    assert (record.state, record.attempt, record.worker) == (RunState.SUCCEEDED, 2, "worker-2")
    assert steps_told(log, run_id) == list(range(1, 401))
    assert cut_off.process.poll() is None
    proxy.close()


def test_answers_lost_on_the_way_back_double_nothing(
    counting: Start, begun: Callable[..., str], store: RunStore, log: EventLog, own_server: Server
) -> None:
    proxy = Proxy(own_server.port)
    counting("half-deaf", proxy)
    run_id = begun(count_to(150, milliseconds=20))
    for _ in range(2):
        proxy.cut("answers")
        time.sleep(1)
        proxy.heal()
        time.sleep(1)
    record = wait_for_state(store, run_id)
    assert record.state is RunState.SUCCEEDED
    assert steps_told(log, run_id) == list(range(1, 151))
    types = [told.event.type for told in log.replay(run_id)]
    assert types.count("finished") == 1
    assert types.count("checkpoint_saved") == 150 or record.attempt > 1
    proxy.close()
