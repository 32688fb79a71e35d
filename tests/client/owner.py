"""A stand-in for the worker that owns a run: it tells what a test has it tell, through the real run store."""

import base64
import hashlib
import zlib

import numpy as np

from mnist_shared.contracts.events import (
    BatchProgress,
    CheckpointSaved,
    EpochFinished,
    EvaluationStarted,
    Finished,
    RunEvent,
    TrainingStarted,
)
from mnist_shared.contracts.progress import advance
from mnist_shared.contracts.reports import EvaluationReport
from mnist_shared.contracts.requests import EvaluateRequest, ExportRequest, PredictRequest, VerifyRequest
from mnist_shared.contracts.runs import (
    CheckpointRef,
    EpochMetrics,
    EvaluatedFile,
    EvaluateResult,
    ExportResult,
    Prediction,
    PredictResult,
    Progress,
    RunError,
    RunResult,
    RunState,
    TrainResult,
    VerifyResult,
)
from mnist_shared.storage.runs import Grant, RunStore

NUM_BATCHES = 938


class Owner:
    def __init__(self, store: RunStore, run_id: str, *, worker: str = "worker-1") -> None:
        self.store = store
        grant = store.claim(run_id, worker=worker)
        assert grant is not None
        self.grant: Grant = grant
        self.epochs = grant.request.config.epochs
        self.sequence = 0
        self.now = Progress(epoch=0, epochs=self.epochs, batch=0, num_batches=NUM_BATCHES)

    @property
    def run_id(self) -> str:
        return self.grant.run_id

    def tell(
        self, event: RunEvent, *, progress: Progress | None = None, checkpoint: CheckpointRef | None = None
    ) -> None:
        self.sequence += 1
        self.store.append(self.grant, event, sequence=self.sequence, progress=progress, checkpoint=checkpoint)

    def start(self, *, epoch: int = 0, batch: int = 0, checkpoint: str | None = None) -> None:
        event = TrainingStarted(
            dataset="mnist", num_images=60_000, device="cpu", num_threads=2, epoch=epoch, epochs=self.epochs,
            batch=batch, num_batches=NUM_BATCHES, checkpoint=checkpoint,
        )  # fmt: skip
        self.now = self.now.model_copy(update={"epoch": epoch})
        self.tell(event, progress=self.now)

    def batch(self, epoch: int, batch: int, *, loss: float = 0.25) -> None:
        event = BatchProgress(
            epoch=epoch, epochs=self.epochs, batch=batch, num_batches=NUM_BATCHES, loss=loss, images_per_second=1097.4
        )
        update = {"epoch": epoch - 1, "batch": batch, "loss": loss, "images_per_second": 1097.4}
        self.now = self.now.model_copy(update=update)
        self.tell(event, progress=self.now)

    def epoch(self, epoch: int, *, correct: int = 9900, train_loss: float = 0.2105) -> None:
        """An epoch ends, with a checkpoint."""
        metrics = EpochMetrics(
            epoch=epoch, train_loss=train_loss, test_loss=0.048, test_correct=correct, test_total=10_000,
            test_accuracy=correct / 10_000, lr=0.001 * 0.7 ** (epoch - 1), seconds=54.7, images_per_second=1097.4,
        )  # fmt: skip
        event = EpochFinished(epochs=self.epochs, metrics=metrics)
        after = advance(self.now, event)
        assert after is not None
        self.now = after.model_copy(update={"loss": 0.2})
        self.tell(event, progress=self.now)
        self.saved(epoch, 0)

    def saved(self, epoch: int, batch: int) -> None:
        """A checkpoint after so many finished epochs, and batches of the next one."""
        checkpoint = CheckpointRef(
            file=f"epoch-{epoch}-{batch}.pt" if batch else f"epoch-{epoch}.pt",
            epoch=epoch,
            batch=batch,
            attempt=self.grant.attempt,
            num_bytes=14_400_000,
            sha256="a" * 64,
        )
        self.tell(CheckpointSaved(checkpoint=checkpoint), checkpoint=checkpoint)

    def train(self) -> str:
        """The whole run, to its good end; its id."""
        self.start()
        for epoch in range(1, self.epochs + 1):
            self.epoch(epoch, correct=9900 + epoch)
        return self.succeed()

    def succeed(self) -> str:
        correct = 9900 + self.epochs
        result = TrainResult(
            epochs=self.epochs, test_loss=0.0211, test_correct=correct, test_total=10_000,
            test_accuracy=correct / 10_000, seconds=820.0, device="cpu", num_threads=2, weights_sha256="b" * 64,
            model_file="mnist_cnn.pt",
        )  # fmt: skip
        self.store.finish(self.grant, Finished(state=RunState.SUCCEEDED, result=result))
        return self.run_id

    def fail(self, message: str = "The volume is full.", *, hint: str = "Free some space on it.") -> str:
        error = RunError(kind="VolumeError", message=message, hint=hint, attempt=self.grant.attempt)
        self.store.finish(self.grant, Finished(state=RunState.FAILED, error=error))
        return self.run_id

    def evaluate(self, *, correct: int = 9927, report: EvaluationReport | None = None) -> str:
        """An evaluation, to its good end; its id."""
        request = self.grant.request
        assert isinstance(request, EvaluateRequest)
        checkpoint = self.checkpoint_of(request.target) if request.target is not None else None
        file = None
        if request.file is not None:
            file = EvaluatedFile(
                name=request.file.name, sha256=request.file.sha256, num_bytes=155_200, file_format="safetensors",
                network="compact", run="0123456789ab", epoch=3,
            )  # fmt: skip
        name = file.name if file is not None else checkpoint.file
        self.tell(EvaluationStarted(dataset="mnist", num_images=10_000, device="cpu", checkpoint=name))
        result = EvaluateResult(
            target=request.target, checkpoint=checkpoint, file=file, correct=correct, total=10_000,
            accuracy=correct / 10_000, average_loss=0.0226, seconds=1.1, device="cpu", report=report,
        )  # fmt: skip
        return self.finish(result)

    def export(self, content: bytes, *, card: str = "model.md", sha256: str | None = None) -> str:
        """An export, to its good end; its files are the test's to write."""
        request = self.grant.request
        assert isinstance(request, ExportRequest)
        result = ExportResult(
            target=request.target, checkpoint=self.checkpoint_of(request.target), file=f"model.{request.file_format}",
            card=card, file_format=request.file_format, num_bytes=len(content),
            sha256=sha256 or hashlib.sha256(content).hexdigest(), max_difference=4.8e-7, device="cpu",
        )  # fmt: skip
        return self.finish(result)

    def predict(self) -> str:
        """Predictions: each picture shows the digit that its brightest row (modulo 10) says."""
        request = self.grant.request
        assert isinstance(request, PredictRequest)
        pixels = np.frombuffer(zlib.decompress(base64.b64decode(request.packed)), np.uint8)
        fields = pixels.reshape(request.num_pictures, 28, 28).astype(int)
        digits = [int(field.sum(axis=1).argmax()) % 10 for field in fields]
        predictions = tuple(
            Prediction(
                answer=str(digit),
                probabilities=tuple(0.9 if label == digit else 0.1 if label == (digit + 1) % 10 else 0.0
                                    for label in range(10)),
            )
            for digit in digits
        )  # fmt: skip
        result = PredictResult(
            target=request.target, checkpoint=self.checkpoint_of(request.target), classes=tuple("0123456789"),
            predictions=predictions, device="cpu",
        )  # fmt: skip
        return self.finish(result)

    def verify(self, *, first_difference: str = "", environment: tuple[str, ...] = ()) -> str:
        """A verification that trains all epochs, and finds this."""
        request = self.grant.request
        assert isinstance(request, VerifyRequest)
        self.start()
        for epoch in range(1, self.epochs + 1):
            self.epoch(epoch)
        result = VerifyResult(
            target=request.target, identical=not first_difference, first_difference=first_difference,
            weights_sha256=("c" if first_difference else "b") * 64, expected_sha256="b" * 64, environment=environment,
            epochs=self.epochs, seconds=55.0, device="cpu",
        )  # fmt: skip
        return self.finish(result)

    def finish(self, result: RunResult) -> str:
        self.store.finish(self.grant, Finished(state=RunState.SUCCEEDED, result=result))
        return self.run_id

    def checkpoint_of(self, run_id: str) -> CheckpointRef:
        checkpoint = self.store.get(run_id).checkpoint
        assert checkpoint is not None
        return checkpoint
