"""Model files that no export of ours would be: each is refused with a clear error, and harms nothing."""

import hashlib
import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from redis import Redis
from torch import nn

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, ModelFile
from mnist_shared.contracts.runs import RunState
from mnist_shared.errors import InvalidInput
from mnist_shared.storage.queue import Queue
from mnist_shared.storage.runs import RunStore
from mnist_shared.training.export import export_model
from mnist_shared.training.model import CompactNet, ReferenceNet
from mnist_shared.training.model_files import load_model_file
from mnist_shared.volume.own_models import own_model_path
from tests.conftest import Server
from tests.processes import TRAINING, Worker, eventually

CONFIG = TrainConfig(dataset="digits")
MARK = "hacked"  # the file that a hostile one would write, if it were run


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def weights(network: nn.Module | None = None, **changed: Any) -> dict[str, Any]:
    return dict((network or compact()).state_dict()) | changed


def compact() -> CompactNet:
    torch.manual_seed(0)
    return CompactNet((2, 2, 2, 2), momentum=0.3)


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({MARK!r}, 'w').close()",))


class Buffer:
    """A terabyte from a few bytes: `bytearray` is among the few calls that torch.load makes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (bytearray, (10**13,))


def repacked(content: bytes, change: Callable[[str, bytes], bytes], *, packed: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", packed) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def pickled(content: object) -> bytes:
    """An archive of torch's with this for its pickle."""
    return repacked(
        saved({}), lambda name, old: pickle.dumps(content, protocol=2) if name.endswith("data.pkl") else old
    )


def program() -> bytes:
    """TorchScript that our own exporter did not write."""
    return export_model(compact(), file_format="torchscript", metadata={"dataset": "digits", "run": "0123456789ab"})


@cache
def exported_onnx() -> bytes:
    return export_model(compact(), file_format="onnx", metadata={"dataset": "digits"})


def onnx_file(change: Callable[[Any], object]) -> bytes:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    proto = onnx.load_model_from_string(exported_onnx())
    change(proto)
    return bytes(proto.SerializeToString())


def elsewhere(proto: Any) -> None:
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def looping(proto: Any) -> None:
    node = proto.graph.node.add()
    node.op_type = "Loop"
    node.attribute.add(name="body", type=5).g.name = "for ever"


def resized(proto: Any, *, to: int) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = to


def nothing_learnt(proto: Any) -> None:
    """Probabilities themselves, in place of their logarithms."""
    node = next(node for node in proto.graph.node if node.op_type == "LogSoftmax")
    node.op_type = "Softmax"


def poisoned(proto: Any) -> None:
    tensor = next(one for one in proto.graph.initializer if one.data_type == 1)
    tensor.raw_data = struct.pack("<f", float("nan")) * (len(tensor.raw_data) // 4)


def cases() -> dict[str, tuple[str, bytes, str]]:
    """Of each the suffix, the content, and what is said of it."""
    nan = compact().conv2.weight.detach().clone().fill_(float("nan"))
    shape = {"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}
    config = TrainConfig(network="compact", widths=(2, 2, 2, 2))
    whole = saved(weights())
    return {
        "nothing to speak of": ("pt", b"\0", "is no file of tensors"),
        "a text": ("pt", b"#!/bin/sh\nrm -rf /\n", "is no file of tensors"),
        "a bare pickle": ("pt", pickle.dumps(Command()), "is no file of tensors"),
        "a pickle that is a command": ("pt", pickled({"conv1.weight": Command()}), "is no file of tensors"),
        "a pickle that is a terabyte": ("pt", pickled({"conv1.weight": Buffer()}), ""),
        "a pickle nested 100,000 deep": (
            "pt",
            repacked(saved({}), lambda name, old: b"\x80\x02" + b"]" * 100_000 + b"." if name.endswith("pkl") else old),
            "",
        ),
        "a whole model with its code": ("pt", saved(nn.Linear(1, 1)), "is no file of tensors"),
        "an archive that is packed": (
            "pt",
            repacked(whole, lambda _, old: old, packed=zipfile.ZIP_DEFLATED),
            "would unpack to more",
        ),
        "cut short": ("pt", whole[: len(whole) // 2], "is no file of tensors"),
        "a list": ("pt", saved([1, 2]), "holds no tensors by name"),
        "numbers by name": ("pt", saved({"conv1.weight": 1.0}), "is no plain tensor"),
        "tensors by number": ("pt", saved({1: torch.zeros(1)}), "holds no tensors by name"),
        "no tensors": ("pt", saved({}), "holds no tensors by name"),
        "a sparse tensor": ("pt", saved(weights(**{"fc.bias": torch.zeros(10).to_sparse()})), "no plain tensor"),
        "a tensor without values": ("pt", saved(weights(**{"fc.bias": torch.zeros(10, device="meta")})), ""),
        "10^15 elements in four bytes": (
            "pt",
            saved(weights(**{"fc.bias": torch.zeros(1).expand(10**15)})),
            "float32 [1000000000000000]",
        ),
        "a tensor too few": ("pt", saved({"conv1.weight": torch.zeros(1)}), "has no conv1.bias"),
        "a tensor too many": ("pt", saved(weights(**{"\x1b[31m" + "x" * 9999: torch.zeros(1)})), "'\\x1b[31mxxx"),
        "another shape": ("pt", saved(weights(ReferenceNet(), **{"fc2.bias": torch.zeros(11)})), "float32 [11], and"),
        "another type": ("pt", saved(weights(**{"fc.bias": torch.zeros(10, dtype=torch.int64)})), "int64 [10], and"),
        "wider than any": ("pt", saved(weights(CompactNet((2, 2, 2, 1025), momentum=0.3))), "Its convolutions"),
        "no number": ("pt", saved(weights(**{"conv2.weight": nan})), "not finite"),
        "a checkpoint of an unknown network": ("pt", saved({"config": "{", "model": weights()}), "which network"),
        "a checkpoint that lies about its network": (
            "pt",
            saved({"config": TrainConfig().model_dump_json(), "model": weights()}),
            "has no conv1.bias, which the reference network",
        ),
        "a checkpoint whose average is a number": (
            "pt",
            saved({"config": config.model_dump_json(), "model": weights(), "averaged": torch.zeros(3)}),
            "holds no tensors by name",
        ),
        "a program": ("torchscript", program(), "program that no worker of this volume has exported"),
        "a program called a checkpoint": ("pt", program(), "program that no worker of this volume has exported"),
        "a header longer than the file": ("safetensors", struct.pack("<Q", 2**62) + b"{}", "no safetensors file"),
        "a header that is no JSON": ("safetensors", safetensors(b"{" * 1000), "no safetensors file"),
        "a header nested 10,000 deep": ("safetensors", safetensors(b'{"a":' * 10_000), "no safetensors file"),
        "a header that promises more": ("safetensors", safetensors({"fc.bias": shape}, bytes(4)), "no safetensors"),
        "a header that overlaps": ("safetensors", safetensors({"a": shape, "b": shape}, bytes(40)), "no safetensors"),
        "metadata that is no text": ("safetensors", safetensors({"__metadata__": {"run": [1]}}), "no safetensors file"),
        "other tensors": ("safetensors", safetensors({"fc.bias": shape}, bytes(40)), "has no conv1.weight"),
        "a pickle called safetensors": ("safetensors", whole, "no safetensors file"),
        "a text called ONNX": ("onnx", b"#!/bin/sh\n", "no ONNX model"),
        "an empty ONNX model": ("onnx", b"\x08\x0a", "cannot load it"),
        "an ONNX model with a file of the worker's": ("onnx", onnx_file(elsewhere), "tensors in another file"),
        "an ONNX model that never ends": ("onnx", onnx_file(looping), "has loops or branches"),
        "an ONNX model of another domain": (
            "onnx",
            onnx_file(lambda proto: proto.graph.node.add(op_type="Run", domain="shell")),
            "has the operator 'shell'",
        ),
        "an ONNX model with functions": (
            "onnx",
            onnx_file(lambda proto: proto.functions.add(name="bomb")),
            "has functions of its own",
        ),
        "an ONNX model for seven images": ("onnx", onnx_file(lambda proto: resized(proto, to=7)), "takes 7 images"),
        "an ONNX model of probabilities": ("onnx", onnx_file(nothing_learnt), "not the logarithms of probabilities"),
        "an ONNX model with no number": ("onnx", onnx_file(poisoned), "not the logarithms of probabilities"),
    }


def as_file(content: bytes, suffix: str) -> ModelFile:
    sha256 = hashlib.sha256(content).hexdigest()
    return ModelFile(name=f"model-{sha256[:12]}.{suffix}", sha256=sha256)


@pytest.fixture(scope="module")
def hostile() -> dict[str, tuple[str, bytes, str]]:
    return cases()


def test_each_is_refused_in_clear_words_and_never_run(
    hostile: dict[str, tuple[str, bytes, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for what, (suffix, content, says) in hostile.items():
        file = as_file(content, suffix)
        with pytest.raises(InvalidInput) as caught:
            load_model_file(file, content, is_ours=lambda _: False, num_threads=1)
        assert caught.value.message.startswith(f"The model file {file.name} cannot be evaluated."), what
        assert says in caught.value.message, (what, caught.value.message)
        assert len(str(caught.value)) < 500, what
        assert caught.value.message.isprintable(), what
        assert caught.value.hint, what
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_file_that_is_damaged_anywhere_is_refused_or_still_a_network(suffix: str) -> None:
    network = compact()
    content = saved(weights(network))
    if suffix == "safetensors":
        content = export_model(network, file_format="safetensors", metadata={"dataset": "digits"})
    chance, refused = random.Random(0), 0
    for number in range(400):
        damaged = bytearray(content)
        if number % 2:
            del damaged[chance.randrange(len(content)) :]
        else:
            for _ in range(3):
                # The headers are at the beginning and at the end.
                places = chance.randrange(600), chance.randrange(len(content)), -chance.randrange(1, 600)
                damaged[chance.choice(places)] = chance.randrange(256)
        try:
            load_model_file(as_file(bytes(damaged), suffix), bytes(damaged), is_ours=lambda _: False, num_threads=1)
        except InvalidInput:
            refused += 1
    assert refused >= 200  # whatever is cut short, at the least


def test_a_worker_refuses_every_one_and_serves_the_run_behind(
    hostile: dict[str, tuple[str, bytes, str]], server: Server, client: Redis, start_worker: Callable[..., Worker],
    environment: dict[str, str],
) -> None:  # fmt: skip
    store, storage = RunStore(client), Path(environment["MNIST_STORAGE_DIR"])
    worker = start_worker("worker-1", server, command=TRAINING).wait_until_ready(client)
    Queue(client).pause()

    def submitted(content: bytes, suffix: str) -> str:
        file = as_file(content, suffix)
        path = own_model_path(storage, file.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return store.submit(EvaluateRequest(file=file, config=CONFIG)).run_id

    bad = {what: submitted(content, suffix) for what, (suffix, content, _) in hostile.items()}
    good = submitted(saved(weights()), "pt")
    pool = worker.pool_pid()
    Queue(client).resume()
    ids = [good, *bad.values()]
    eventually(lambda: all(store.get(run_id).state.is_final for run_id in ids), what="an end of all", seconds=60)
    assert store.get(good).state is RunState.SUCCEEDED, store.get(good).error
    for what, run_id in bad.items():
        record = store.get(run_id)
        assert (record.state, record.attempt) == (RunState.FAILED, 1), what
        assert record.error is not None
        assert record.error.kind == "InvalidInput", (what, record.error)
    assert worker.pool_pid() == pool  # nothing has brought it down
    assert not [path for folder in (storage, Path.cwd()) for path in folder.rglob(MARK)]
    assert "Traceback" not in worker.log
