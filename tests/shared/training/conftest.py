"""A small data set of real digits, and `execute`: one execution of a run, with everything it told."""

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mnist_shared.contracts.config import TrainConfig, make_train_config
from mnist_shared.contracts.events import RunEvent
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, TrainResult
from mnist_shared.training.checkpoints import CheckpointStore, load_newest
from mnist_shared.training.data import Dataset, load_dataset
from mnist_shared.training.trainer import train

CPU = torch.device("cpu")
# 9 batches an epoch, the last one short; 3 chunks of an evaluation.
NUM_TRAIN, NUM_TEST, BATCH_SIZE = 136, 300, 16

# Trains on the small set in a process of its own: its arguments are the configuration and the folder.
TRAIN_IN_A_PROCESS = """
import dataclasses, sys
from pathlib import Path
import torch
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.training.checkpoints import CheckpointStore
from mnist_shared.training.data import load_dataset
from mnist_shared.training.trainer import train

config, folder = TrainConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])
digits = load_dataset("digits", folder=folder)
small = dataclasses.replace(
    digits, train_images=digits.train_images[:136], train_labels=digits.train_labels[:136],
    test_images=digits.test_images[:300], test_labels=digits.test_labels[:300], sha256="5" * 64,
)
store = CheckpointStore(folder / "checkpoints", attempt=1, authorize=lambda: None, keep_last=2)
result = train(
    config, data=small, device=torch.device("cpu"), num_threads=1, checkpoints=store, model_path=folder / "model.pt",
    on_event=lambda event: print(event.model_dump_json(), flush=True), should_stop=lambda: False,
)
print(result.model_dump_json())
"""


@dataclasses.dataclass
class Execution:
    """What one execution of a run came to."""

    result: TrainResult | None
    events: list[RunEvent]

    def told(self, event_type: str) -> list[Any]:
        return [event for event in self.events if event.type == event_type]


class Run:
    """A run on a volume of its own, executed as often as a test likes."""

    def __init__(self, folder: Path, data: Dataset) -> None:
        self.folder = folder
        self.data = data
        self.attempt = 0

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def execute(
        self,
        config: TrainConfig,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        authorize: Callable[[], None] = lambda: None,
        on_event: Callable[[RunEvent], None] = lambda event: None,
        num_threads: int = 1,
        parent: "Run | None" = None,
        data: Dataset | None = None,
        **more: Any,
    ) -> Execution:
        self.attempt += 1
        events: list[RunEvent] = []

        def take(event: RunEvent) -> None:
            events.append(event)
            on_event(event)

        result = train(
            config,
            data=data or self.data,
            device=CPU,
            num_threads=num_threads,
            checkpoints=CheckpointStore(
                self.checkpoints, attempt=self.attempt, authorize=authorize, keep_last=config.keep_last
            ),
            model_path=self.folder / "mnist_cnn.pt",
            on_event=take,
            should_stop=should_stop,
            parent=parent.checkpoints if parent else None,
            **more,
        )
        return Execution(result, events)

    def newest(self) -> tuple[CheckpointRef, dict[str, Any]]:
        found = load_newest(self.checkpoints, on_rejected=lambda file, reason: pytest.fail(f"{file}: {reason}"))
        assert found is not None, "there is no checkpoint"
        return found


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits", folder=Path("/nowhere"))


@pytest.fixture(scope="session")
def small(digits: Dataset) -> Dataset:
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:NUM_TRAIN],
        train_labels=digits.train_labels[:NUM_TRAIN],
        test_images=digits.test_images[:NUM_TEST],
        test_labels=digits.test_labels[:NUM_TEST],
        sha256="5" * 64,
    )


@pytest.fixture
def new_run(tmp_path_factory: pytest.TempPathFactory, small: Dataset) -> Callable[[], Run]:
    return lambda: Run(tmp_path_factory.mktemp("run"), small)


@pytest.fixture
def stop_at() -> Callable[[int], Callable[[], bool]]:
    """`stop_at(n)` says "stop" when it is asked for the n-th time (the first is 0), and ever after."""

    def make(number: int) -> Callable[[], bool]:
        asked = itertools.count()
        return lambda: next(asked) >= number

    return make


@pytest.fixture
def run(new_run: Callable[[], Run]) -> Run:
    return new_run()


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return TrainConfig(
        dataset="digits", batch_size=BATCH_SIZE, epochs=2, log_interval=1, checkpoint_every_seconds=0.0, keep_last=2
    )


@pytest.fixture(scope="session")
def compact() -> TrainConfig:
    """Everything that the reference network's configuration lacks: running statistics, averages, one cycle, changed
    images, and a last batch that is left out."""
    return make_train_config(
        preset="fast", dataset="digits", widths=(8, 8, 8, 16), batch_size=BATCH_SIZE, epochs=2, weight_decay=0.01,
        rotate=0.0, scale=0.0, shear=0.0, ema=0.9, log_interval=1, checkpoint_every_seconds=0.0,
    )  # fmt: skip


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, small: Dataset, config: TrainConfig) -> tuple[Run, Execution]:
    """Two epochs, nobody interfering."""
    run = Run(tmp_path_factory.mktemp("undisturbed"), small)
    return run, run.execute(config)


def _without_times(metrics: EpochMetrics) -> EpochMetrics:
    return metrics.model_copy(update={"seconds": 0.0, "images_per_second": 0.0})


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Run, Run], None]:
    """Compares two runs' last checkpoints: weights, averages, optimiser and history, bit for bit; times aside."""

    def compare(one: Run, other: Run) -> None:
        (ref, a), (other_ref, b) = one.newest(), other.newest()
        assert (ref.epoch, ref.batch) == (other_ref.epoch, other_ref.batch)
        for network in ("model", "averaged"):
            assert (a[network] or {}).keys() == (b[network] or {}).keys()
            for name in a[network] or {}:
                assert torch.equal(a[network][name], b[network][name]), f"{network}: {name} differs"
        for number, values in a["optimizer"]["state"].items():
            for name, value in values.items():
                assert torch.equal(value, b["optimizer"]["state"][number][name]), (
                    f"{name} of parameter {number} differs"
                )
        assert a["optimizer"]["param_groups"] == b["optimizer"]["param_groups"]
        assert _history(a) == _history(b)

    return compare


def _history(state: dict[str, Any]) -> list[EpochMetrics]:
    from pydantic import TypeAdapter

    return [_without_times(metrics) for metrics in TypeAdapter(list[EpochMetrics]).validate_json(state["history"])]


@pytest.fixture(scope="session")
def train_script() -> list[str]:
    """The command that trains in another process; events and, last, the result come as lines of JSON."""
    return [sys.executable, "-W", "error", "-c", TRAIN_IN_A_PROCESS]
