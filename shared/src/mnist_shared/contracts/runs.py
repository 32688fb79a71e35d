"""A run: its states, its record, and the small documents inside the record."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import DEFERRED, Contract, Document
from mnist_shared.contracts.names import FileName, ModelName, RunId, RunName, Tag
from mnist_shared.contracts.reports import EvaluationReport
from mnist_shared.contracts.requests import ExportFormat, Request
from mnist_shared.errors import MnistError


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


# `running -> queued` is recovery (the lease ran out), hand-back (the worker was asked to stop) or a retry (the attempt
# failed).
TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.QUEUED, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}


Priority = Literal["high", "normal", "low"]
CANARY_TAG = "doctor"  # of the runs that `mnist-client doctor` sends: nobody's own, so `last` never means one


class SubmitOptions(Document):
    """What a client says about a run besides its request: none of it changes the weights."""

    name: RunName | None = None  # unique among the runs that are known; the store gives one where there is none
    tags: tuple[Tag, ...] = Field((), max_length=16)
    priority: Priority = "normal"  # high before normal before low; within each, in the order of submission
    after: RunId | None = None  # queued only once that run has succeeded; cancelled when it ends otherwise
    retries: int = Field(0, ge=0, le=20)  # how often a failed attempt is queued again
    retry_of: RunId | None = None  # the run whose request this one repeats
    fingerprint: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")  # equal for runs that end with the same weights

    @property
    def is_canary(self) -> bool:
        return CANARY_TAG in self.tags


class CheckpointRef(Document):
    """One checkpoint on the shared volume; also the manifest that lies beside it there."""

    file: FileName  # inside the run's checkpoints folder
    epoch: int = Field(ge=0)  # finished epochs
    batch: int = Field(ge=0)  # finished batches of the epoch after those; 0: the checkpoint stands between two epochs
    attempt: int = Field(ge=1)  # the fencing token of the execution that wrote it
    num_bytes: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the file


NUM_LOSSES = 32


class EpochMetrics(Document):
    """What one epoch came to. Losses are means over images; accuracies are fractions."""

    epoch: int = Field(ge=1)
    train_loss: float
    test_loss: float
    test_correct: int = Field(ge=0)
    test_total: int = Field(ge=1)
    test_accuracy: float = Field(ge=0, le=1)
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    lr: float
    seconds: float = Field(ge=0)  # training and evaluation, wall clock
    images_per_second: float = Field(ge=0)  # training images over training time


class Progress(Document):
    """How far a run is, for `status`: the last finished epoch, and the batch within the present one."""

    epoch: int = Field(ge=0)  # finished epochs
    epochs: int = Field(ge=1)  # in total
    batch: int = Field(ge=0)
    num_batches: int = Field(ge=1)
    loss: float | None = None  # of the last reported batch
    images_per_second: float | None = None
    last_epoch: EpochMetrics | None = None
    best_accuracy: float | None = None  # on the test set, of the finished epochs
    losses: tuple[float, ...] = ()  # mean training loss of each of the last NUM_LOSSES epochs, for a sparkline


class TrainResult(Document):
    """How a training run ended."""

    kind: Literal["train"] = "train"
    epochs: int
    test_loss: float
    test_correct: int
    test_total: int
    test_accuracy: float
    seconds: float  # in all epochs together, the parent's and lost attempts' excluded
    device: str
    num_threads: int
    weights_sha256: str  # over the model's tensors, in their order; equal weights, equal digest
    model_file: str | None  # the weights alone, inside the run's folder; None: --no-save-model or a dry run
    dry_run: bool = False
    dataset_sha256: str | None = None


class EvaluatedFile(Contract):
    """A user's model file that was evaluated, and what it says of itself."""

    name: ModelName
    sha256: str
    num_bytes: int = Field(ge=1)
    file_format: Literal["checkpoint", "weights", "safetensors", "onnx", "torchscript"]
    network: Literal["reference", "compact"] | None = None  # None: of a program's graph it is not known
    run: RunId | None = None  # that has trained it
    epoch: int | None = None


class EvaluateResult(Document):
    """How an evaluation ended."""

    kind: Literal["evaluate"] = "evaluate"
    target: RunId | None = None
    checkpoint: CheckpointRef | None = None  # of the target
    file: EvaluatedFile | None = None  # instead of both
    correct: int
    total: int
    accuracy: float
    average_loss: float
    seconds: float  # the pass over the test set
    device: str
    report: EvaluationReport | None = None


class ExportResult(Document):
    """What an export has written, in the folder `export` of its own run."""

    kind: Literal["export"] = "export"
    target: RunId
    checkpoint: CheckpointRef
    file: FileName
    card: FileName  # the model card beside it
    file_format: ExportFormat
    num_bytes: int
    sha256: str
    max_difference: float  # of a log-probability to the model's own, over the whole test set
    device: str


class Prediction(Contract):
    """The answer for one picture."""

    answer: str  # the class's name
    probabilities: tuple[float, ...]  # by label


class PredictResult(Document):
    """The answers, in the order of the pictures."""

    kind: Literal["predict"] = "predict"
    target: RunId
    checkpoint: CheckpointRef
    classes: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    device: str


class VerifyResult(Document):
    """Whether a run, trained once more, came to the same weights."""

    kind: Literal["verify"] = "verify"
    target: RunId
    identical: bool
    first_difference: str  # "" when there is none
    weights_sha256: str
    expected_sha256: str
    environment: tuple[str, ...]  # in what this run's environment differs from the target's
    epochs: int
    seconds: float
    device: str


RunResult = Annotated[
    TrainResult | EvaluateResult | ExportResult | PredictResult | VerifyResult, Field(discriminator="kind")
]
RESULT: TypeAdapter[RunResult] = TypeAdapter(RunResult, config=DEFERRED)


class RunError(Document):
    """Why a run failed."""

    kind: str  # the error's class name
    message: str
    hint: str = ""
    attempt: int = Field(ge=0)
    details: str = ""  # a traceback, for what nobody foresaw

    @classmethod
    def of(cls, error: MnistError, *, attempt: int) -> "RunError":
        """One of our own errors, as the record keeps it."""
        return cls(kind=type(error).__name__, message=error.message, hint=error.hint, attempt=attempt)


class RunRecord(Document):
    """The truth about a run, read from Redis. Times are the Redis server's, in UTC."""

    id: RunId
    request: Request
    state: RunState
    submitted_at: datetime
    started_at: datetime | None = None  # of the first attempt
    finished_at: datetime | None = None
    attempt: int = Field(ge=0)  # how often it was claimed; also the fencing token
    attempts_without_checkpoint: int = Field(ge=0)  # charged claims since the last new checkpoint
    options: SubmitOptions = SubmitOptions()  # its name is always set
    failures: int = Field(0, ge=0)  # how many attempts have failed and were queued again (`options.retries`)
    waits_for: RunId | None = None  # queued, but out of the queue until that run has succeeded
    worker: str | None = None  # the present or last owner
    cancel_requested: bool = False
    progress: Progress | None = None
    checkpoint: CheckpointRef | None = None  # the last one
    result: RunResult | None = None
    error: RunError | None = None  # of a failed run; of a living one, why the last attempt ended


class RunFile(Document):
    """`run.json` in the run's folder: what was asked for, and what it takes to do it again with the same weights.

    Written once, by the first attempt; later attempts keep to it.
    """

    id: RunId
    request: Request
    options: SubmitOptions = SubmitOptions()
    num_threads: int = Field(ge=1)  # part of the result: one thread and two do not give the same bits
    device: str
    versions: dict[str, str]


RUN_FILE: TypeAdapter[RunFile] = TypeAdapter(RunFile)
