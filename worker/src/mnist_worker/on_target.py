"""What is done with the network of another run: evaluate it, export it, ask it. It imports torch."""

import base64
import binascii
import logging
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnist_shared.contracts.events import EvaluationStarted
from mnist_shared.contracts.reports import EvaluationReport, Normalisation
from mnist_shared.contracts.requests import EvaluateRequest, ExportRequest, PredictRequest
from mnist_shared.contracts.runs import EvaluateResult, ExportResult, Prediction, PredictResult
from mnist_shared.errors import InvalidInput
from mnist_shared.reports.measures import measure
from mnist_shared.reports.writing import write_report
from mnist_shared.training.data import Dataset
from mnist_shared.training.evaluation import evaluate, evaluate_checkpoint, normalised
from mnist_shared.training.export import FILE_NAMES, check_export, export_model
from mnist_shared.training.model_card import model_card
from mnist_shared.training.model_files import FileNetwork
from mnist_shared.training.normalisation import formula
from mnist_shared.training.shape import NUM_CLASSES, SIDE
from mnist_shared.training.tested import LoadedNetwork
from mnist_shared.volume.files import write_files
from mnist_shared.volume.run_folder import RunFolder
from mnist_worker.execution import Execution

log = logging.getLogger(__name__)

CARD = "MODEL_CARD.md"
PREDICT_CHUNK = 128  # pictures
DIGITS = 6  # of a probability: the record of a few hundred pictures should stay small


def evaluated(
    request: EvaluateRequest,
    tested: LoadedNetwork | FileNetwork,
    execution: Execution,
    *,
    folder: RunFolder,
    data: Dataset,
    normalisation: Normalisation,
    device: torch.device,
    num_threads: int,
) -> EvaluateResult | None:
    """Evaluate, and write the report into the run's folder; None when it was asked to stop."""
    answers: list[Tensor] = []
    result = evaluate_checkpoint(
        tested,
        target=request.target,
        config=request.config,
        data=data,
        normalisation=normalisation,
        device=device,
        num_threads=num_threads,
        on_event=execution.reporter.tell,
        should_stop=execution.should_stop,
        answers=answers,
    )
    if result is None:
        return None
    report = report_of(answers, data).model_copy(update={"normalisation": normalisation})
    if isinstance(tested, FileNetwork):
        about = tested.about
        title, origin = about.name, [("format", about.file_format), ("SHA-256", about.sha256[:12])]
        origin += [("run", about.run)] if about.run else []
        origin += [("checkpoint", f"epoch {about.epoch}")] if about.epoch is not None else []
    else:
        title = f"run {request.target}"
        origin = [("run", str(request.target)), ("checkpoint", f"epoch {tested.ref.epoch}")]
    write_report(
        folder.evaluation,
        report,
        data.test_images.numpy(),
        title=f"Evaluation of {title}",
        facts=[*origin, ("normalised as", _in_words(normalisation)), ("device", device.type)],
        attempt=execution.grant.attempt,
        authorize=execution.reporter.authorize,
    )
    return result.model_copy(update={"report": report})


def report_of(answers: list[Tensor], data: Dataset) -> EvaluationReport:
    """The figures of log-probabilities over the whole test set."""
    logs: NDArray[np.float32] = torch.cat(answers).float().cpu().numpy()
    labels = data.test_labels.numpy()
    # A set of fewer classes than the network has answers: those that nobody gives are left out.
    num = max(len(data.classes), int(logs.argmax(axis=1).max()) + 1)
    return measure(logs[:, :num], labels, dataset=data.name, classes=_names(data.classes, num))


def _in_words(normalisation: Normalisation) -> str:
    rule = formula(round(normalisation.mean, DIGITS), round(normalisation.std, DIGITS))
    return f"{normalisation.dataset or 'the file says'}: {rule}"


def _names(classes: tuple[str, ...], num: int) -> tuple[str, ...]:
    """Names for `num` answers, of which the data set may have no use for the last ones."""
    return classes + tuple(f"({number})" for number in range(len(classes), num))


def exported(
    request: ExportRequest,
    tested: LoadedNetwork,
    execution: Execution,
    *,
    folder: RunFolder,
    data: Dataset,
    num_threads: int,
) -> ExportResult:
    """Export to the run's folder, with a model card; read back and compared over the whole test set."""
    torch.set_num_threads(num_threads)
    cpu = torch.device("cpu")
    execution.reporter.tell(
        EvaluationStarted(
            dataset=data.name, num_images=len(data.test_images), device=cpu.type, checkpoint=tested.ref.file
        )
    )
    found = evaluate(
        tested.model, data.test_images, data.test_labels, mean=data.mean, std=data.std, batch_size=1000, device=cpu
    )
    assert found is not None, "nobody stops it"
    metadata = {
        "run": request.target,
        "epoch": str(tested.ref.epoch),
        "dataset": data.name,
        "dataset_sha256": data.sha256,
        "normalisation": formula(data.mean, data.std),
        "test_accuracy": f"{found.correct}/{found.total}",
    }
    content = export_model(tested.model, file_format=request.file_format, metadata=metadata)
    difference = check_export(
        content, tested.model, data.test_images, file_format=request.file_format, mean=data.mean, std=data.std
    )
    file = FILE_NAMES[request.file_format]
    card = model_card(
        tested, target=request.target, data=data, evaluation=found, file=file, file_format=request.file_format
    )
    digests = write_files(
        folder.export,
        [(CARD, card.encode()), (file, content)],
        attempt=execution.grant.attempt,
        authorize=execution.reporter.authorize,
    )
    return ExportResult(
        target=request.target,
        checkpoint=tested.ref,
        file=file,
        card=CARD,
        file_format=request.file_format,
        num_bytes=len(content),
        sha256=digests[file],
        max_difference=difference,
        device=cpu.type,
    )


def predicted(
    request: PredictRequest,
    tested: LoadedNetwork,
    *,
    normalisation: Normalisation,
    classes: tuple[str, ...],
    device: torch.device,
    num_threads: int,
) -> PredictResult:
    """Ask the network about each picture. The names of the classes are those of what it was trained on."""
    torch.set_num_threads(num_threads)
    images = unpacked(request)
    model = tested.model.to(device).eval()
    probabilities = []
    with torch.inference_mode():
        for chunk in torch.split(torch.from_numpy(images), PREDICT_CHUNK):
            logs = model(normalised(chunk.to(device), mean=normalisation.mean, std=normalisation.std))
            probabilities += logs.exp().cpu().tolist()
    names = _names(classes, NUM_CLASSES)
    return PredictResult(
        target=request.target,
        checkpoint=tested.ref,
        classes=names,
        predictions=tuple(
            Prediction(answer=names[row.index(max(row))], probabilities=tuple(round(value, DIGITS) for value in row))
            for row in probabilities
        ),
        device=device.type,
    )


def unpacked(request: PredictRequest) -> NDArray[np.uint8]:
    """The request's pictures, uint8 [N, 28, 28].

    Raises:
        InvalidInput: they are not what the request says.
    """
    expected = request.num_pictures * SIDE * SIDE
    try:
        packed = base64.b64decode(request.packed, validate=True)
        content = zlib.decompressobj().decompress(packed, expected + 1)  # never more than was announced
    except (binascii.Error, ValueError, zlib.error) as error:
        raise InvalidInput("The pictures of the request are damaged.", hint="Send them again.") from error
    if len(content) != expected:
        raise InvalidInput(
            f"The request does not hold {request.num_pictures} pictures of 28 x 28.", hint="Send them again."
        )
    return np.frombuffer(bytearray(content), dtype=np.uint8).reshape(-1, SIDE, SIDE)
