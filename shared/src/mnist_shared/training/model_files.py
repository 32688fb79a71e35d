"""The network in a model file of the user's: read as data, and looked at before it is used. Whatever it may hold."""

import io
import json
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mnist_shared.contracts.config import TrainConfig, is_dataset_name
from mnist_shared.contracts.names import RUN_ID_PATTERN, matches
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.contracts.requests import ModelFile
from mnist_shared.contracts.runs import EvaluatedFile
from mnist_shared.errors import InvalidInput
from mnist_shared.training.model import load_weights, new_network, tested_weights
from mnist_shared.training.normalisation import trained_with
from mnist_shared.training.programs import Program, onnx_network, quiet, require, torchscript_network
from mnist_shared.training.shape import SIDE

FileFormat = Literal["checkpoint", "weights", "safetensors", "onnx", "torchscript"]
# What torch and zipfile raise on files that they cannot make sense of.
UNREADABLE = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, OverflowError, MemoryError, OSError),
    *(AssertionError, ImportError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile),
)
_NETWORKS = "Give a model of one of this project's networks, or of the reference script's."


class FileNetwork(NamedTuple):
    """A network on the CPU, and what its file says of it."""

    model: nn.Module
    about: EvaluatedFile
    dataset: str | None  # that it was trained on, by its own account
    normalisation: Normalisation | None  # that it was trained with; None: it does not say
    is_program: bool  # which stays on the CPU


class _Found(NamedTuple):
    """Weights, and what stands beside them."""

    weights: object
    metadata: Mapping[str, object]
    config: TrainConfig | None = None  # None: the weights must tell which network they are of


def load_model_file(
    file: ModelFile, content: bytes, *, is_ours: Callable[[bytes], bool], num_threads: int
) -> FileNetwork:
    """The network in `content`, of which `is_ours` tells whether a worker of this volume has exported it.

    A TorchScript archive can hold any program: it is run only if it is ours.

    Raises:
        InvalidInput: the file is damaged, holds anything but weights of a network of this project, or a program that is
            not to be run; the message names the file and what is wrong.
        MissingPart: the library of its format is not installed.
    """
    try:
        return _load(file, content, is_ours=is_ours, num_threads=num_threads)
    except InvalidInput as error:
        raise InvalidInput(
            f"The model file {file.name} cannot be evaluated. {error.message}", hint=error.hint
        ) from error


def dataset_of(found: FileNetwork) -> str:
    """The data set that the file names.

    Raises:
        InvalidInput: it names none, or one that can be none.
    """
    if found.dataset is None:
        raise InvalidInput(
            f"The model file {found.about.name} does not say which data set it was trained on, and so how images are "
            "to be normalised.",
            hint="Name it: --dataset mnist.",
        )
    if not is_dataset_name(found.dataset):
        raise InvalidInput(
            f"The model file {found.about.name} names the data set {found.dataset!a:.60}, which is none.",
            hint="Name another: --dataset mnist.",
        )
    return found.dataset


def _load(file: ModelFile, content: bytes, *, is_ours: Callable[[bytes], bool], num_threads: int) -> FileNetwork:
    suffix = file.name.rpartition(".")[2]
    if suffix == "onnx":
        return _program(file, content, "onnx", onnx_network(content, num_threads=num_threads))
    if suffix == "safetensors":
        file_format, found = _read_safetensors(content)
    else:
        parts = _parts(content)
        if any(part.filename.endswith("/constants.pkl") for part in parts):
            if not is_ours(content):
                raise InvalidInput(
                    "It is a TorchScript program that no worker of this volume has exported, and so is not run: a "
                    "program can do anything.",
                    hint="Export it as safetensors or ONNX, which hold no program.",
                )
            return _program(file, content, "torchscript", torchscript_network(content))
        file_format, found = _read_torch(content, parts)
    config, model = _network(found)
    about = _about(file, content, file_format, found.metadata, network=config.network)
    return _file_network(model, about, found.metadata, is_program=False)


def _program(file: ModelFile, content: bytes, file_format: FileFormat, program: Program) -> FileNetwork:
    with torch.inference_mode():
        program.model(torch.zeros(2, 1, SIDE, SIDE))  # what it does not answer it is refused for at once
    about = _about(file, content, file_format, program.metadata)
    return _file_network(program.model, about, program.metadata, is_program=True)


def _file_network(
    model: nn.Module, about: EvaluatedFile, metadata: Mapping[str, object], *, is_program: bool
) -> FileNetwork:
    dataset = _text(metadata, "dataset")
    return FileNetwork(model, about, dataset, trained_with(metadata.get("normalisation"), dataset=dataset), is_program)


def _about(
    file: ModelFile,
    content: bytes,
    file_format: FileFormat,
    metadata: Mapping[str, object],
    *,
    network: Literal["reference", "compact"] | None = None,
) -> EvaluatedFile:
    run = _text(metadata, "run") or ""
    return EvaluatedFile(
        name=file.name,
        sha256=file.sha256,
        num_bytes=len(content),
        file_format=file_format,
        network=network,
        run=run if matches(run, RUN_ID_PATTERN) else None,
        epoch=_number(metadata.get("epoch")),
    )


def _text(metadata: Mapping[str, object], name: str) -> str | None:
    value = metadata.get(name)
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 10**9 else None


# ---- reading: tensors and plain values, never code -------------------------------------------------------------------


def _parts(content: bytes) -> list[zipfile.ZipInfo]:
    """What a file of torch's holds: listed, not read.

    Raises:
        InvalidInput: it is no file of torch's.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.infolist()
    except UNREADABLE as error:
        raise _no_torch_file(error) from error


def _read_torch(content: bytes, parts: Sequence[zipfile.ZipInfo]) -> tuple[FileFormat, _Found]:
    """A checkpoint of a run, or a plain state_dict."""
    # torch.save packs nothing, and writes each byte once: anything else is a bomb.
    is_packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if is_packed or sum(part.file_size for part in parts) > len(content):
        raise InvalidInput("It would unpack to more than it is.", hint=_NETWORKS)
    try:
        with quiet():
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise _no_torch_file(error) from error
    if not isinstance(found, dict) or not isinstance(found.get("config"), str):
        return "weights", _Found(found, {})
    try:
        config = TrainConfig.model_validate_json(found["config"])
    except ValidationError as error:
        raise InvalidInput(
            "This checkpoint does not say which network it is.", hint="It was written by another version."
        ) from error
    return "checkpoint", _Found(tested_weights(found), found, config)


def _no_torch_file(error: Exception) -> InvalidInput:
    return InvalidInput(
        f"It is no file of tensors and plain values as torch.save writes them, or a damaged one "
        f"({type(error).__name__}).",
        hint=_NETWORKS,
    )


def _read_safetensors(content: bytes) -> tuple[FileFormat, _Found]:
    require("safetensors")
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        weights = load(content)
    except (SafetensorError, *UNREADABLE) as error:
        raise InvalidInput(
            f"It is no safetensors file, or a damaged one ({str(error)!a:.80}).", hint=_NETWORKS
        ) from error
    # The library has read this header, so it is one: its length, 8 bytes; JSON, in which the metadata are strings.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return "safetensors", _Found(weights, cast(dict[str, Any], header.get("__metadata__") or {}))


# ---- looking at what was read, before anything is done with it -------------------------------------------------------


def _network(found: _Found) -> tuple[TrainConfig, nn.Module]:
    """The network with these weights.

    Raises:
        InvalidInput: they are not of it, or are no finite numbers.
    """
    weights = found.weights
    if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights):
        raise InvalidInput("It holds no tensors by name.", hint=_NETWORKS)
    for name, value in weights.items():
        if not _is_plain(value):
            raise InvalidInput(f"Its {name!a:.60} is no plain tensor.", hint=_NETWORKS)
    config = found.config or _config_of(weights)
    model = new_network(config)
    expected = model.state_dict()
    title = f"the {config.network} network"
    if missing := [name for name in expected if name not in weights]:
        raise InvalidInput(f"It has no {missing[0]}, which {title} has.", hint=_NETWORKS)
    if foreign := [name for name in weights if name not in expected]:
        raise InvalidInput(f"It has {foreign[0]!a:.60}, which {title} has not.", hint=_NETWORKS)
    for name, tensor in expected.items():
        if _kind(weights[name]) != _kind(tensor):
            raise InvalidInput(
                f"Its {name} is {_kind(weights[name]):.80}, and in {title} {_kind(tensor)}.", hint=_NETWORKS
            )
        if not bool(weights[name].isfinite().all()):
            raise InvalidInput(f"Its {name} has values that are not finite.", hint="Its training had diverged.")
    load_weights(model, weights)
    return config, model


def _is_plain(value: object) -> bool:
    """Neither sparse, nor quantized, nor nested, nor without any values: torch.load makes all of these."""
    return (
        isinstance(value, Tensor)
        and type(value) in (Tensor, nn.Parameter)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_nested
    )


def _config_of(weights: Mapping[str, Tensor]) -> TrainConfig:
    """Which network has weights of these names and shapes."""
    if "norm1.weight" not in weights:
        return TrainConfig()
    convolutions = [weights.get(f"conv{number}.weight") for number in (1, 2, 3, 4)]
    widths = tuple(one.shape[0] if one is not None and one.dim() else 0 for one in convolutions)
    try:
        return TrainConfig.model_validate({"network": "compact", "widths": widths})
    except ValidationError as error:
        raise InvalidInput("Its convolutions are not those of the compact network.", hint=_NETWORKS) from error


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
