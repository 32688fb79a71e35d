"""The network in a model file: the same as the one that was written, whatever the format."""

import hashlib
from io import BytesIO
from typing import Any

import pytest
import torch
from torch import nn

from mnist_shared.contracts.requests import ModelFile
from mnist_shared.errors import InvalidInput
from mnist_shared.training.export import export_model
from mnist_shared.training.model import CompactNet, ReferenceNet
from mnist_shared.training.model_files import FileNetwork, dataset_of, load_model_file

METADATA = {"run": "0123456789ab", "epoch": "3", "dataset": "kmnist"}
WIDTHS = (3, 5, 4, 6)


def saved(content: object) -> bytes:
    buffer = BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def loaded(content: bytes, suffix: str, *, is_ours: bool = False) -> FileNetwork:
    sha256 = hashlib.sha256(content).hexdigest()
    file = ModelFile(name=f"model-{sha256[:12]}.{suffix}", sha256=sha256)
    return load_model_file(file, content, is_ours=lambda _: is_ours, num_threads=1)


@pytest.fixture(params=["reference", "compact"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    return (ReferenceNet() if request.param == "reference" else CompactNet(WIDTHS, momentum=0.3)).eval()


def assert_same(found: FileNetwork, model: nn.Module) -> None:
    images = torch.randn(7, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert float((found.model.eval()(images) - model(images)).abs().max()) <= 1e-5


@pytest.mark.parametrize("suffix", ["safetensors", "onnx", "torchscript", "pt"])
def test_an_export_answers_as_its_network_does_and_says_where_it_comes_from(model: nn.Module, suffix: str) -> None:
    file_format: Any = "torchscript" if suffix == "pt" else suffix
    if suffix == "onnx":
        pytest.importorskip("onnxscript")
    found = loaded(export_model(model, file_format=file_format, metadata=METADATA), suffix, is_ours=True)
    assert_same(found, model)
    assert (found.about.file_format, found.about.run, found.about.epoch) == (file_format, "0123456789ab", 3)
    assert dataset_of(found) == "kmnist"
    assert found.is_program == (file_format != "safetensors")


def test_plain_weights_tell_by_names_and_shapes_which_network_they_are_of(model: nn.Module) -> None:
    found = loaded(saved(model.state_dict()), "pt")
    assert_same(found, model)
    assert (found.about.file_format, found.about.network, found.about.run) == (
        *("weights", "reference" if isinstance(model, ReferenceNet) else "compact"),
        None,
    )
    with pytest.raises(InvalidInput, match="does not say which data set") as caught:
        dataset_of(found)
    assert "--dataset" in caught.value.hint


def test_a_checkpoint_is_the_network_that_its_run_evaluates(run: Any, compact: Any) -> None:
    execution = run.execute(compact)
    ref, state = run.newest()
    found = loaded((run.checkpoints / ref.file).read_bytes(), "pt")
    assert compact.ema > 0
    averaged = found.model.state_dict()
    assert all(torch.equal(averaged[name], tensor) for name, tensor in state["averaged"].items())
    assert not all(torch.equal(averaged[name], tensor) for name, tensor in state["model"].items())
    assert (found.about.file_format, found.about.network) == ("checkpoint", "compact")
    assert found.about.epoch == len(execution.told("epoch"))
    assert dataset_of(found) == "digits"


@pytest.mark.parametrize("dataset", ["../../etc", "own/../x-0123456789ab", "mnits", "x" * 10_000, "mnist\n"])
def test_a_data_set_that_is_none_is_not_looked_for(dataset: str) -> None:
    content = export_model(ReferenceNet(), file_format="safetensors", metadata={"dataset": dataset})
    with pytest.raises(InvalidInput, match="names the data set") as caught:
        dataset_of(loaded(content, "safetensors"))
    assert len(str(caught.value)) < 300


def test_what_a_file_says_of_its_origin_is_not_believed_when_it_can_be_none() -> None:
    metadata = {"run": "../../../etc", "epoch": "9" * 5000}
    found = loaded(export_model(ReferenceNet(), file_format="safetensors", metadata=metadata), "safetensors")
    assert (found.about.run, found.about.epoch) == (None, None)
