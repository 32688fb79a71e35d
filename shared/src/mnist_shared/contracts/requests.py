"""What a client asks for, and the name of the Celery task that carries it."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import Document
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.names import RunId

QUEUE = "queue"
TRAIN_TASK = "mnist.train"
RESUME_TASK = "mnist.resume"
EVALUATE_TASK = "mnist.evaluate"


class TrainRequest(Document):
    """Train from scratch."""

    kind: Literal["train"] = "train"
    config: TrainConfig


class ResumeRequest(Document):
    """Train on from another run's last checkpoint, as a run of its own."""

    kind: Literal["resume"] = "resume"
    parent: RunId
    config: TrainConfig  # of the whole: `epochs` is the total, the parent's included


class EvaluateRequest(Document):
    """Evaluate another run's last checkpoint on the test set."""

    kind: Literal["evaluate"] = "evaluate"
    target: RunId
    config: TrainConfig  # the target's; its data set, test batch size and device switches apply


Request = Annotated[TrainRequest | ResumeRequest | EvaluateRequest, Field(discriminator="kind")]
REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
TASK_NAMES = {"train": TRAIN_TASK, "resume": RESUME_TASK, "evaluate": EVALUATE_TASK}
