"""What a client asks for, and the name of the Celery task that carries it."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from mnist_shared.contracts.base import DEFERRED, Document
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.names import RunId

QUEUE = "queue"
TRAIN_TASK = "mnist.train"
RESUME_TASK = "mnist.resume"
EVALUATE_TASK = "mnist.evaluate"
EXPORT_TASK = "mnist.export"
PREDICT_TASK = "mnist.predict"
VERIFY_TASK = "mnist.verify"

MAX_PICTURES = 500  # of one request
MAX_PACKED_LENGTH = 900_000  # characters

Which = Literal["last", "best"] | Annotated[int, Field(ge=1)]  # a checkpoint: the newest, the best, or after an epoch
ExportFormat = Literal["safetensors", "torchscript", "onnx"]


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
    """Evaluate a checkpoint of another run on the test set."""

    kind: Literal["evaluate"] = "evaluate"
    target: RunId
    config: TrainConfig  # the target's; its data set, test batch size and device switches apply
    checkpoint: Which = "last"


class ExportRequest(Document):
    """Write a checkpoint of another run in the format of other programs."""

    kind: Literal["export"] = "export"
    target: RunId
    config: TrainConfig  # the target's
    checkpoint: Which = "last"
    file_format: ExportFormat


class PredictRequest(Document):
    """Ask a checkpoint of another run which digits some pictures show."""

    kind: Literal["predict"] = "predict"
    target: RunId
    config: TrainConfig  # the target's; its device switches apply
    checkpoint: Which = "last"
    num_pictures: int = Field(ge=1, le=MAX_PICTURES)
    packed: str = Field(max_length=MAX_PACKED_LENGTH)  # uint8 [N, 28, 28], zlib, base64


class VerifyRequest(Document):
    """Train another run's request once more, and compare."""

    kind: Literal["verify"] = "verify"
    target: RunId
    config: TrainConfig  # the target's
    parent: RunId | None = None  # the run that the target went on from


Training = TrainRequest | ResumeRequest
OnTarget = EvaluateRequest | ExportRequest | PredictRequest | VerifyRequest  # of another run, `target`
Request = Annotated[
    TrainRequest | ResumeRequest | EvaluateRequest | ExportRequest | PredictRequest | VerifyRequest,
    Field(discriminator="kind"),
]
REQUEST: TypeAdapter[Request] = TypeAdapter(Request, config=DEFERRED)
TASK_NAMES = {
    "train": TRAIN_TASK,
    "resume": RESUME_TASK,
    "evaluate": EVALUATE_TASK,
    "export": EXPORT_TASK,
    "predict": PREDICT_TASK,
    "verify": VERIFY_TASK,
}
