"""Keeps the server and its workers running until told to stop; then drains them, the server last."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from mnist_client.stack.child import Child
from mnist_client.stack.server import ServerFailed, ServerProcess
from mnist_shared.errors import BrokerUnreachable, MissingPart, MnistError
from mnist_shared.storage.connection import connect
from mnist_shared.storage.workers import WorkerRegistry

TICK_SECONDS = 0.1
READY_LOOK_SECONDS = 0.5
QUICK_DEATH_SECONDS = 10.0
MAX_QUICK_DEATHS = 5
USAGE_EXIT = 2  # of mnist-worker: its command line is wrong or a part is missing; another start changes nothing
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class WorkerFailed(MnistError):
    """A worker dies again and again."""


@dataclass
class WorkerSeat:
    """One of the N workers: a name, and whoever fills it now."""

    name: str
    child: Child | None = None
    quick_deaths: int = 0  # in a row
    start_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """`say` is told what happens; `pass_on` gets each line of a worker with the worker's name."""

    def __init__(
        self,
        server: ServerProcess,
        *,
        worker_command: Sequence[str],
        names: Sequence[str],
        environment: Mapping[str, str],
        say: Callable[[str], None],
        pass_on: Callable[[str, str], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._server, self._worker_command, self._environment = server, worker_command, environment
        self._seats = [WorkerSeat(name) for name in names]
        self._say, self._pass_on, self._on_ready = say, pass_on, on_ready
        self._server_child: Child | None = None
        self._server_deaths = 0  # quick ones in a row
        self._stops = 0
        self._is_ready = False

    def run(self, *, on_server: Callable[[], None]) -> None:
        """Start all, keep it running, and return after SIGINT, SIGTERM or SIGHUP, when all of it has stopped.

        `on_server` is called once the server answers.

        Raises:
            ServerFailed, WorkerFailed: it cannot be kept running. Nothing of it runs any more then.
        """
        before = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            self._server_child = self._server.start()
            on_server()
            look_at = 0.0
            while not self._stops:
                self._keep_server()
                for seat in self._seats:
                    self._keep_worker(seat)
                if not self._is_ready and time.monotonic() >= look_at:
                    look_at = time.monotonic() + READY_LOOK_SECONDS
                    self._look_for_readiness()
                time.sleep(TICK_SECONDS)
            self._drain()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1

    # ---- keeping ------------------------------------------------------------------------------------------------

    def _keep_server(self) -> None:
        child = self._server_child
        assert child is not None
        child.read_lines()
        if child.exit_code is None:
            return
        self._server_deaths = self._server_deaths + 1 if child.seconds < QUICK_DEATH_SECONDS else 1
        if self._server_deaths >= MAX_QUICK_DEATHS:
            raise ServerFailed(
                f"The server died {MAX_QUICK_DEATHS} times within seconds.",
                hint=f"See {self._server.folder.server_log}.",
            )
        self._say(f"the server {_ended(child)}; starting it again on its data")
        child.close()
        time.sleep(_back_off(self._server_deaths - 1))
        self._server_child = self._server.start()

    def _keep_worker(self, seat: WorkerSeat) -> None:
        child = seat.child
        if child is None:
            if time.monotonic() >= seat.start_at:
                environment = {**self._environment, "MNIST_WORKER_NAME": seat.name}
                seat.child = Child(self._worker_command, environment=environment)
            return
        ended = child.exit_code is not None
        for line in child.read_lines():
            self._pass_on(seat.name, line)
        if not ended:
            return
        child.close()
        seat.child = None
        seat.quick_deaths = seat.quick_deaths + 1 if child.seconds < QUICK_DEATH_SECONDS else 1
        last = next((line for line in reversed(child.last_lines) if line.strip()), "it said nothing")
        if child.exit_code == USAGE_EXIT:
            raise MissingPart(f"{seat.name} cannot start: {last.removeprefix('error: ')}")
        if seat.quick_deaths >= MAX_QUICK_DEATHS:
            raise WorkerFailed(
                f"{seat.name} died {MAX_QUICK_DEATHS} times within seconds of its start; the last time: {last}",
                hint="Try `mnist-worker` by itself.",
            )
        wait_seconds = _back_off(seat.quick_deaths - 1)
        seat.start_at = time.monotonic() + wait_seconds
        self._say(
            f"{seat.name} {_ended(child)}; starting it again" + (f" in {wait_seconds:g} s" if wait_seconds else "")
        )

    def _look_for_readiness(self) -> None:
        """All seats are filled by workers that have announced themselves with their device."""
        client = connect(self._server.access.url, retries=0)
        try:
            ready = {worker.info.pid for worker in WorkerRegistry(client).present() if worker.info.state != "starting"}
        except BrokerUnreachable:
            return
        finally:
            client.close()
        if all(seat.child is not None and seat.child.pid in ready for seat in self._seats):
            self._is_ready = True
            self._on_ready()

    # ---- stopping -----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Let the workers hand their runs back; a second signal does not wait for it."""
        living = [seat for seat in self._seats if seat.child is not None]
        if living:
            self._say("stopping; the workers hand their runs back (Ctrl-C again to kill them)")
        for seat in living:
            assert seat.child is not None
            seat.child.terminate()
        stops = self._stops
        while living and self._stops == stops:
            for seat in list(living):
                assert seat.child is not None
                ended = seat.child.exit_code is not None
                for line in seat.child.read_lines():
                    self._pass_on(seat.name, line)
                if ended:
                    living.remove(seat)
            time.sleep(TICK_SECONDS / 2)
        if living:
            self._say("killed; what they were at goes on from the last checkpoint at the next `up`")

    def _end(self) -> None:
        """Nothing of it runs any more after this."""
        for seat in self._seats:
            if seat.child is not None:
                seat.child.close()
        if self._server_child is not None:
            self._server_child.terminate()
            self._server_child.process.wait()
            self._server_child.close()


def _back_off(deaths: int) -> float:
    """Seconds before the next start: at once, then 0.5, 1, 2, 4."""
    return 0.0 if deaths <= 0 else 0.5 * 2 ** (deaths - 1)


def _ended(child: Child) -> str:
    code = child.exit_code
    assert code is not None
    if code == 0:
        return "was stopped by somebody else"
    return f"died (signal {signal.Signals(-code).name})" if code < 0 else f"died (exit code {code})"
