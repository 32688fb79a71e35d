"""A trained network in the formats of others: safetensors, TorchScript, ONNX. Each is read back and compared."""

import copy
import io
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mnist_shared.errors import CheckpointError
from mnist_shared.training.evaluation import normalised
from mnist_shared.training.programs import onnx_network, quiet, require, torchscript_network
from mnist_shared.volume.run_folder import TORCHSCRIPT

ExportFormat = Literal["safetensors", "torchscript", "onnx"]
FILE_NAMES: dict[ExportFormat, str] = {
    "safetensors": "mnist_cnn.safetensors",
    "torchscript": TORCHSCRIPT,
    "onnx": "mnist_cnn.onnx",
}
OPSET = 18
TOLERANCE = 1e-5  # greatest difference of a log-probability
CHUNK = 500  # images


def export_model(model: nn.Module, *, file_format: ExportFormat, metadata: dict[str, str]) -> bytes:
    """The network as the bytes of a file; `metadata` goes into it where the format has room for it.

    The networks of TorchScript and ONNX take normalised images, float32 [N, 1, 28, 28] with any N, and give the
    logarithms of the class probabilities, float32 [N, 10]. safetensors holds the weights alone.

    Raises:
        MissingPart: the format's library is not installed.
    """
    model = _standalone(model)
    match file_format:
        case "safetensors":
            require("safetensors")
            from safetensors.torch import save

            weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
            return save(weights, metadata=metadata)
        case "torchscript":
            buffer = io.BytesIO()
            with quiet():
                traced = torch.jit.trace(model, torch.zeros(2, 1, 28, 28))  # type: ignore[no-untyped-call]
                torch.jit.save(traced, buffer, _extra_files={"metadata.txt": _lines(metadata)})
            return buffer.getvalue()
        case "onnx":
            return _onnx(model, metadata)


def check_export(
    content: bytes, model: nn.Module, images: Tensor, *, file_format: ExportFormat, mean: float, std: float
) -> float:
    """The greatest difference between the exported network's answers and the model's, over all of `images`.

    They are asked in batches of different sizes. `images`: uint8 [N, 28, 28], two at least.

    Raises:
        CheckpointError: it is above 1e-5.
    """
    model = _standalone(model)
    answer = _reader(content, model, file_format)
    worst = 0.0
    with torch.inference_mode():
        # Batches of 500, one of 499, and one of a single image.
        for chunk in (*torch.split(images[:-1], CHUNK), images[-1:]):
            batch = normalised(chunk, mean=mean, std=std)
            worst = max(worst, float((answer(batch) - model(batch)).abs().max()))
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"The exported network's answers differ from the model's by up to {worst:.2g}.",
            hint=f"More than {TOLERANCE:g} is a fault of the export; please report it.",
        )
    return worst


def _reader(content: bytes, model: nn.Module, file_format: ExportFormat) -> Any:
    match file_format:
        case "safetensors":
            from safetensors.torch import load

            twin = _standalone(model)
            twin.load_state_dict(load(content))
            return twin
        case "torchscript":
            return torchscript_network(content).model
        case "onnx":
            return onnx_network(content).model


def _onnx(model: nn.Module, metadata: dict[str, str]) -> bytes:
    for part in ("onnx", "onnxscript"):
        require(part)
    batch = torch.export.Dim("batch", min=1)
    with quiet():
        program = torch.onnx.export(
            model,
            (torch.zeros(2, 1, 28, 28),),
            input_names=["images"],
            output_names=["log_probabilities"],
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for name, value in metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, value
    return bytes(proto.SerializeToString())


def _standalone(model: nn.Module) -> nn.Module:
    """A copy on the CPU that is ready to answer, in plain memory format."""
    twin = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format)
    return twin.eval().requires_grad_(False)


def _lines(metadata: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in metadata.items())
