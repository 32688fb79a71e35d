"""What a client asks for, and the name of the Celery task that carries it."""

from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from mnist_shared.contracts.base import DEFERRED, Contract, Document
from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.names import ModelName, RunId

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


class ModelFile(Contract):
    """A user's model file, as it lies on the shared volume."""

    name: ModelName
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class EvaluateRequest(Document):
    """Evaluate a network on a test set: a checkpoint of another run, or a model file of the user's."""

    kind: Literal["evaluate"] = "evaluate"
    target: RunId | None = None
    file: ModelFile | None = None  # instead of a target
    config: TrainConfig  # the target's, if any; its data set, test batch size and device switches apply
    checkpoint: Which = "last"  # of the target
    as_trained: bool = False  # on the data set that the file names, not on the configuration's

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.target is None) == (self.file is None):
            raise PydanticCustomError("one_network", "Input should have either a target or a file")
        if self.as_trained if self.file is None else self.checkpoint != "last":
            raise PydanticCustomError(
                "of_the_other", "Input should have a checkpoint of a target, as_trained of a file"
            )
        return self


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
OnTarget = EvaluateRequest | ExportRequest | PredictRequest | VerifyRequest  # of another run, `target`, or of a file
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
