"""Networks that come as programs: ONNX and TorchScript. They run on the CPU; what they answer is checked."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mnist_shared.errors import InvalidInput, MissingPart
from mnist_shared.training.shape import NUM_CLASSES, SIDE

METADATA_FILE = "metadata.txt"  # in a TorchScript archive: `name: value` lines
TOLERANCE = 1e-3  # of the sum of an image's probabilities
_FLOATS = "tensor(float)"
_STANDARD = ("", "ai.onnx")  # the domain of ONNX's own operators
_AS_EXPORTED = "Give one as `mnist-client export` writes it."


class Program(NamedTuple):
    """A network without its source."""

    model: nn.Module
    metadata: Mapping[str, str]


def onnx_network(content: bytes, *, num_threads: int = 0) -> Program:
    """An ONNX model as a network; `num_threads` 0: as many as onnxruntime likes.

    Accepted is a straight line of ONNX's own operators: no loop that never ends, no function that unfolds without
    bounds, and no tensor in another file, whose name could be any path of the worker's machine.

    Raises:
        InvalidInput: it is none, or not such a one, or does not take images [N, 1, 28, 28] with any N.
        MissingPart: onnx or onnxruntime is not installed.
    """
    for part in ("onnx", "onnxruntime"):
        require(part)
    import onnx
    import onnxruntime

    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's DecodeError; its module carries no types
        raise InvalidInput("It is no ONNX model, or a damaged one.", hint=_AS_EXPORTED) from error
    if reason := _unwanted(proto):
        raise InvalidInput(f"This ONNX model {reason}, which is not executed here.", hint=_AS_EXPORTED)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 4  # what is wrong is raised, too
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no root of their own
        raise InvalidInput(f"onnxruntime cannot load it ({type(error).__name__}).", hint=_AS_EXPORTED) from error
    takes, gives = session.get_inputs(), session.get_outputs()
    shape = list(takes[0].shape) if len(takes) == 1 else []
    if len(gives) != 1 or shape[1:] != [1, SIDE, SIDE] or takes[0].type != _FLOATS:
        raise InvalidInput(
            f"This ONNX model does not take images alone, float32 [N, 1, {SIDE}, {SIDE}], and give one answer.",
            hint=_AS_EXPORTED,
        )
    if isinstance(shape[0], int):
        raise InvalidInput(f"This ONNX model takes {shape[0]} images at once, and no other number.", hint=_AS_EXPORTED)

    def answer(images: Tensor) -> Any:
        try:
            return session.run(None, {takes[0].name: images.numpy()})[0]
        except Exception as error:
            raise InvalidInput(f"onnxruntime cannot run it ({type(error).__name__}).", hint=_AS_EXPORTED) from error

    return Program(_Checked(answer), {prop.key: prop.value for prop in proto.metadata_props})


def torchscript_network(content: bytes) -> Program:
    """A TorchScript archive as a network. It may hold any program at all: for our own exports only.

    Raises:
        InvalidInput: it is damaged.
    """
    files = {METADATA_FILE: ""}
    with quiet():
        try:
            module = torch.jit.load(io.BytesIO(content), map_location="cpu", _extra_files=files)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise InvalidInput("It is no TorchScript archive, or a damaged one.", hint=_AS_EXPORTED) from error
    lines = (line.partition(": ") for line in _text(files[METADATA_FILE]).splitlines())
    return Program(_Checked(module.eval()), {name: value for name, _, value in lines})


class _Checked(nn.Module):
    """A program as a network: images to the logarithms of the class probabilities, or an error."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self._answer = answer

    def forward(self, images: Tensor) -> Tensor:
        """float32 [N, 1, 28, 28] to float32 [N, 10], on the CPU.

        Raises:
            InvalidInput: it answers with anything else.
        """
        answers = torch.as_tensor(self._answer(images))
        if answers.shape != (len(images), NUM_CLASSES) or answers.dtype != torch.float32:
            found = f"{str(answers.dtype).removeprefix('torch.')} {list(answers.shape)}"
            raise InvalidInput(
                f"Its answers to {len(images)} images are {found}, not float32 [{len(images)}, {NUM_CLASSES}].",
                hint=_AS_EXPORTED,
            )
        sums = answers.exp().sum(dim=1)
        if not bool(answers.isfinite().all()) or not bool(((sums - 1).abs() < TOLERANCE).all()):
            raise InvalidInput(
                "Its answers are not the logarithms of probabilities.", hint="Let it end with a log-softmax."
            )
        return answers


def _unwanted(proto: Any) -> str:
    """What an ONNX model has that is not wanted; "" when there is nothing."""
    if len(proto.functions):
        return "has functions of its own"
    for message in _messages(proto):
        match message.DESCRIPTOR.name:
            case "TensorProto" if message.data_location or len(message.external_data):
                return "has tensors in another file"
            case "AttributeProto" if message.HasField("g") or len(message.graphs):
                return "has loops or branches"
            case "NodeProto" if message.domain not in _STANDARD:
                return f"has the operator {message.domain!a:.40}"
    return ""


def _messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all within it; a file of more than 100 levels was refused when it was parsed."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part)


def _text(content: str | bytes) -> str:
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else content


def require(part: str) -> None:
    """Raises MissingPart where a format's library is not installed."""
    if find_spec(part) is None:
        raise MissingPart(
            f"This needs {part}, which is not installed on the worker.", hint="pip install 'mnist-shared[export]'"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """torch warns of the future of its formats, and logs each step of an export."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
