"""What a run tells while it goes on. An event's time is its stream id: the Redis server's clock, in milliseconds."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import DEFERRED, Document
from mnist_shared.contracts.runs import CheckpointRef, EpochMetrics, RunError, RunResult, RunState


class Submitted(Document):
    type: Literal["submitted"] = "submitted"


class AttemptStarted(Document):
    """A worker has claimed the run."""

    type: Literal["attempt_started"] = "attempt_started"
    attempt: int
    worker: str


class EnvironmentRecorded(Document):
    """What an attempt runs on: with the configuration and the data, all that its bits depend on."""

    type: Literal["environment"] = "environment"
    device: str  # "cuda", "mps" or "cpu"
    device_name: str
    num_threads: int
    versions: dict[str, str]  # of the project's parts, torch, torchvision, celery, python


class AttemptFailed(Document):
    """An attempt ended in an error, and the run is queued again (`--retries`)."""

    type: Literal["attempt_failed"] = "attempt_failed"
    attempt: int
    worker: str
    error: RunError


class AttemptLost(Document):
    """A worker's lease ran out; the run is queued again."""

    type: Literal["attempt_lost"] = "attempt_lost"
    attempt: int
    worker: str


class HandedBack(Document):
    """A worker was asked to stop and gave the run back; it is at the head of the queue."""

    type: Literal["handed_back"] = "handed_back"
    attempt: int
    worker: str


class CancelRequested(Document):
    type: Literal["cancel_requested"] = "cancel_requested"


class TrainingStarted(Document):
    """The network stands, the data is in memory, the first batch is next."""

    type: Literal["training_started"] = "training_started"
    dataset: str
    num_images: int  # in the training set
    device: str
    num_threads: int
    epoch: int  # finished epochs
    epochs: int  # in total
    batch: int  # finished batches of the epoch after those
    num_batches: int  # per epoch
    checkpoint: str | None = None  # the file it goes on from
    dataset_sha256: str | None = None


class BatchProgress(Document):
    """Live only: kept for the last few seconds, not for a replay."""

    type: Literal["batch"] = "batch"
    epoch: int = Field(ge=1)  # the present one
    epochs: int
    batch: int = Field(ge=1)  # finished batches of it
    num_batches: int
    loss: float
    images_per_second: float


class EpochFinished(Document):
    """Once per epoch and run, however many attempts it takes."""

    type: Literal["epoch"] = "epoch"
    epochs: int
    metrics: EpochMetrics


class CheckpointSaved(Document):
    type: Literal["checkpoint_saved"] = "checkpoint_saved"
    checkpoint: CheckpointRef


class CheckpointRejected(Document):
    """A checkpoint was damaged and passed over; the one before is used."""

    type: Literal["checkpoint_rejected"] = "checkpoint_rejected"
    file: str
    reason: str


class EvaluationStarted(Document):
    type: Literal["evaluation_started"] = "evaluation_started"
    dataset: str
    num_images: int
    device: str
    checkpoint: str  # its file, or the user's model file


class Finished(Document):
    """The last event of every run."""

    type: Literal["finished"] = "finished"
    state: RunState
    result: RunResult | None = None
    error: RunError | None = None


RunEvent = Annotated[
    Submitted
    | AttemptStarted
    | EnvironmentRecorded
    | AttemptFailed
    | AttemptLost
    | HandedBack
    | CancelRequested
    | TrainingStarted
    | BatchProgress
    | EpochFinished
    | CheckpointSaved
    | CheckpointRejected
    | EvaluationStarted
    | Finished,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[RunEvent] = TypeAdapter(RunEvent, config=DEFERRED)
