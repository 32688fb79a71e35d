"""The queue from a program or a notebook: `from mnist_client import Client`.

    from mnist_client import Client

    client = Client()                                   # the broker and the volume as the command line finds them
    run = client.submit_train(preset="fast", seed=2, name="first-try")
    for event in run.follow():
        print(event.type)
    result = run.result()                               # a TrainResult; RunFailed or RunCancelled otherwise
    print(result.test_accuracy)
    print(run.evaluate().report.confused_pairs)

It stands on what the commands stand on. It prints nothing; it raises `MnistError`s, and KeyboardInterrupt leaves runs
going.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mnist_client.asking import ask
from mnist_client.context import CommandContext
from mnist_client.datasets import with_staged_dataset
from mnist_client.evaluating import find_subject, request_for
from mnist_client.following import follow_run
from mnist_client.lineage import find_training_run
from mnist_client.results import any_result_of, result_of
from mnist_client.staying import wait_for_ends
from mnist_client.submission import Wishes, submit
from mnist_client.targets import evaluate_request, which_of
from mnist_shared.contracts.config import make_train_config
from mnist_shared.contracts.events import RunEvent
from mnist_shared.contracts.requests import Request, TrainRequest, Which
from mnist_shared.contracts.runs import (
    EvaluateResult,
    Prediction,
    Priority,
    RunRecord,
    RunResult,
    RunState,
)
from mnist_shared.errors import InvalidInput, RunNotFinished
from mnist_shared.storage.events import ToldEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

SIDE = 28  # pixels


class Client:
    """A connection to the queue, made when it is first used.

    `broker`, `storage` and `profile` are those of the command line; what is not given is taken from the environment
    (MNIST_BROKER_URL, MNIST_STORAGE_DIR), the configuration file, or the embedded stack of `mnist-client up`.
    """

    def __init__(
        self, broker: str | None = None, storage: str | Path | None = None, profile: str | None = None
    ) -> None:
        folder = Path(storage) if storage is not None else None
        self._context = CommandContext(broker=broker, storage=folder, profile=profile, quiet=True)

    def submit_train(
        self,
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: Priority = "normal",
        after: "Run | str | None" = None,
        retries: int = 0,
        if_needed: bool = False,
        **config: object,
    ) -> "Run":
        """Send a training run. `config` is TrainConfig's: epochs=3, seed=2, preset="fast", dataset="./my-digits", ...

            run = client.submit_train(epochs=3, tags=("sweep",))

        `if_needed` takes a run that has succeeded with the same configuration instead, where there is one.

        Raises:
            InvalidInput: an argument is unknown or out of bounds; the message names it as an option.
            DatasetError, VolumeError: `dataset` is a folder that cannot be read, or copied to the volume.
            RunNotFound: there is no run `after`.
        """
        context = self._context
        arguments = {**context.configuration.train, **with_staged_dataset(context, config)}
        wishes = Wishes(
            name=name,
            tags=tuple(tags),
            priority=priority,
            after=after.id if isinstance(after, Run) else after,
            retries=retries,
            if_needed=if_needed,
        )
        return self._send(TrainRequest(config=make_train_config(**arguments)), wishes)

    def run(self, name: str = "last") -> "Run":
        """The run that `name` means: a name, an id or its beginning, `last`, `last~1`.

            client.run("brisk-otter").status().state

        Raises:
            RunNotFound: none.
            InvalidInput: several, or it is no such name at all.
        """
        record = self._context.store.get(self._context.store.resolve(name))
        return Run(record.id, record.options.name or record.id, self._context)

    def runs(
        self,
        *,
        states: Collection[RunState | str] = (),
        kinds: Collection[str] = (),
        tags: Collection[str] = (),
        count: int = 20,
    ) -> "list[Run]":
        """Up to `count` runs, the newest first: of one of the states, of one of the kinds, with all of the tags.

            [run.name for run in client.runs(states=["running"])]

        Raises:
            InvalidInput: there is no such state.
        """
        try:
            wanted = frozenset(RunState(state) for state in states)
        except ValueError as error:
            raise InvalidInput(f"{error}.", hint=f"Use {', '.join(RunState)}.") from error
        records = self._context.store.search(
            states=wanted, kinds=frozenset(kinds), tags=frozenset(tags), count=count, on_unreadable=lambda _: None
        )
        return [Run(record.id, record.options.name or record.id, self._context) for record in records]

    def evaluate(
        self,
        subject: str | Path = "last",
        *,
        checkpoint: Which | None = None,
        timeout: float | None = None,
        **config: object,
    ) -> EvaluateResult:
        """Evaluate a training run, or a model file, and wait; what is which is decided as on the command line.

            client.evaluate("./model.safetensors", dataset="mnist").accuracy

        A `Path` is a file always. `config`: dataset, test_batch_size, no_cuda, no_mps. Images are normalised as the
        network's training set; as `dataset` where a file names none. The report says which.

        Raises:
            RunNotFound: there is no such run.
            InvalidInput: the file is not to be had, is too large, or is given with a `checkpoint`.
            RunNotFinished, CheckpointError: there is no such checkpoint yet, or will be none.
            RunFailed, RunCancelled: the evaluation has ended without a result; its message says what is wrong with the
                file.
        """
        context, which = self._context, None if checkpoint is None else str(checkpoint)
        words = str(subject.absolute()) if isinstance(subject, Path) else subject
        found = find_subject(context, words, checkpoint=which)
        run = self._send(request_for(context, found, config, checkpoint=which), Wishes())
        return result_of(run._ended(timeout), EvaluateResult)

    def _send(self, request: Request, wishes: Wishes) -> "Run":
        sent = submit(self._context.store, request, wishes)
        return Run(sent.run_id, sent.name, self._context)


@dataclass(frozen=True)
class Run:
    """A run in the queue, running, or ended. It holds no state: each method asks the broker."""

    id: str
    name: str
    _context: CommandContext = field(repr=False, compare=False)

    def status(self) -> RunRecord:
        """All that is recorded of the run at this moment.

        run.status().progress
        """
        return self._context.store.get(self.id)

    def follow(self) -> Iterator[RunEvent]:
        """What the run has told and tells, to its end; however often the broker goes away meanwhile.

            for event in run.follow():
                if event.type == "epoch":
                    print(event.metrics.epoch, event.metrics.test_accuracy)

        Raises:
            RunNotFound: the broker does not know the run any more.
            BrokerRefused: the broker answers, and will not have us.
        """
        for heard in follow_run(self._context.store, self._context.events, self.id):
            if isinstance(heard, ToldEvent):
                yield heard.event

    def result(self, timeout: float | None = None) -> RunResult:
        """Wait until the run has ended; what came of it. `timeout`: seconds, None waits as long as it takes.

            run.result(timeout=600).test_accuracy

        Raises:
            RunFailed, RunCancelled: it has ended without a result.
            RunNotFinished: it has not ended within `timeout`; it goes on.
        """
        return any_result_of(self._ended(timeout))

    def cancel(self, *, force: bool = False) -> Literal["cancelled", "requested", "final"]:
        """End the run: at once, soon (its worker writes a last checkpoint, unless `force`), or it has ended already.

        run.cancel()
        """
        return self._context.store.cancel(self.id, force=force)

    def evaluate(self, *, checkpoint: Which = "last", timeout: float | None = None, **config: object) -> EvaluateResult:
        """Evaluate a checkpoint of this training run, and wait. `config`: dataset, test_batch_size, no_cuda, no_mps.

            run.evaluate(checkpoint="best", dataset="fashion-mnist").accuracy

        Raises:
            RunNotFinished, CheckpointError: there is no such checkpoint yet, or will be none.
            RunFailed, RunCancelled: the evaluation has ended without a result.
        """
        context, target = self._context, find_training_run(self._context.store, self.id)
        overrides = with_staged_dataset(context, config)
        request = evaluate_request(target, overrides, checkpoint=which_of(str(checkpoint)))
        sent = submit(context.store, request)
        return result_of(Run(sent.run_id, sent.name, context)._ended(timeout), EvaluateResult)

    def predict(
        self, images: "NDArray[np.uint8] | Image", *, checkpoint: Which = "last", timeout: float | None = None
    ) -> list[Prediction]:
        """Ask this training run's network what `images` show: uint8 [28, 28] or [N, 28, 28], or one of Pillow's.

        They are white on black, as in MNIST; `mnist_client.pictures.read_pictures` makes them of any other picture.

            [one.answer for one in run.predict(images)]

        Raises:
            InvalidInput: the images are of another shape or type.
            RunNotFinished, CheckpointError: there is no such checkpoint yet, or will be none.
            RunFailed, RunCancelled: a prediction has ended without a result.
        """
        context, target = self._context, find_training_run(self._context.store, self.id)
        asked = ask(context.store, target, _fields(images), checkpoint=which_of(str(checkpoint)))
        deadline = None if timeout is None else time.monotonic() + timeout

        def wait(run_id: str) -> RunRecord:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            return Run(run_id, run_id, context)._ended(left)

        return [
            Prediction(answer=one.answer, probabilities=tuple(one.by_class.values())) for one in asked.answers(wait)
        ]

    def _ended(self, timeout: float | None) -> RunRecord:
        """The record, once the run has ended.

        Raises:
            RunNotFinished: it has not within `timeout`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.id not in wait_for_ends(self._context, [self.id], deadline=deadline):
            raise RunNotFinished(
                f"Run {self.id} has not ended within {timeout:g} s; it goes on.", hint="Ask for its result again later."
            )
        return self.status()


def _fields(images: "NDArray[np.uint8] | Image") -> list[bytes]:
    if getattr(images, "mode", None) == "L" and getattr(images, "size", None) == (SIDE, SIDE):
        return [images.tobytes()]
    shape, kind = getattr(images, "shape", None), str(getattr(images, "dtype", type(images).__name__))
    if kind != "uint8" or shape is None or shape[-2:] != (SIDE, SIDE) or len(shape) not in (2, 3):
        what = kind if shape is None else f"{kind} {list(shape)}"
        raise InvalidInput(f"The images are {what}, not uint8 [N, {SIDE}, {SIDE}].", hint="Scale them to 0 to 255.")
    content = images.tobytes()
    return [content[start : start + SIDE * SIDE] for start in range(0, len(content), SIDE * SIDE)]
