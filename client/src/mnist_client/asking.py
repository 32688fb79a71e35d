"""Ask a trained network what pictures show: as many predictions as it takes, and their answers in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mnist_client.results import result_of
from mnist_client.submission import Sent, Wishes, submit
from mnist_client.targets import predict_requests
from mnist_shared.contracts.requests import Which
from mnist_shared.contracts.runs import PredictResult, RunRecord
from mnist_shared.storage.runs import RunStore

WISHES = Wishes(tags=("predict",), priority="high")  # somebody sits there and waits


@dataclass(frozen=True)
class Answer:
    """What the network said to one picture."""

    answer: str  # the class's name
    by_class: dict[str, float]  # probabilities, in the order of the labels
    target: str  # the run whose network it is
    checkpoint: str  # its file
    run_id: str  # of the prediction

    @property
    def probability(self) -> float:
        return self.by_class[self.answer]

    @property
    def next_best(self) -> tuple[str, float] | None:
        """The second answer, and its probability."""
        others = [(name, share) for name, share in self.by_class.items() if name != self.answer]
        return max(others, key=lambda one: one[1], default=None)


@dataclass(frozen=True)
class Asked:
    """Predictions that have been sent."""

    sent: Sequence[Sent]

    def answers(self, wait: Callable[[str], RunRecord]) -> Iterator[Answer]:
        """The answers, in the order of the pictures. `wait` returns the record of a run once it has ended.

        Raises:
            RunFailed, RunCancelled: a prediction has ended without.
        """
        for sent in self.sent:
            result = result_of(wait(sent.run_id), PredictResult)
            for one in result.predictions:
                shares = dict(zip(result.classes, one.probabilities, strict=True))
                yield Answer(one.answer, shares, result.target, result.checkpoint.file, sent.run_id)


def ask(store: RunStore, target: RunRecord, fields: Sequence[bytes], *, checkpoint: Which = "last") -> Asked:
    """Send the pictures, each 28 rows of 28 greys; no pictures, no prediction.

    Raises:
        RunNotFinished, CheckpointError: `target` has no such checkpoint.
    """
    if not fields:
        return Asked(())
    requests = predict_requests(target, fields, checkpoint=checkpoint)
    return Asked([submit(store, request, WISHES) for request in requests])
