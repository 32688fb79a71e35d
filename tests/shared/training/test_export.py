"""What is exported answers as the network does."""

import json

import pytest
import torch

from mnist_shared.errors import CheckpointError
from mnist_shared.training.export import check_export, export_model
from mnist_shared.training.model import CompactNet, ReferenceNet

IMAGES = torch.randint(0, 256, (501, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SCALE = {"mean": 0.13, "std": 0.31}
FORMATS = ["safetensors", "torchscript", "onnx"]


@pytest.fixture(params=["reference", "compact"])
def model(request):
    torch.manual_seed(3)
    network = ReferenceNet() if request.param == "reference" else CompactNet((16, 16, 16, 16), momentum=0.3)
    return network.train()  # as it comes out of the training loop


@pytest.mark.parametrize("file_format", FORMATS)
def test_its_answers_are_the_models_for_batches_of_any_size(model, file_format):
    if file_format == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    content = export_model(model, file_format=file_format, metadata={"run": "0123456789ab"})
    assert check_export(content, model, IMAGES, file_format=file_format, **SCALE) <= 1e-5
    assert model.training, "the model itself is left as it was"


@pytest.mark.parametrize("file_format", FORMATS[:2])
def test_another_networks_export_is_found_out(file_format):
    torch.manual_seed(1)
    first = CompactNet((16, 16, 16, 16), momentum=0.3)
    second = CompactNet((16, 16, 16, 16), momentum=0.3)
    content = export_model(first, file_format=file_format, metadata={})
    with pytest.raises(CheckpointError, match="differ from the model's"):
        check_export(content, second, IMAGES, file_format=file_format, **SCALE)


def test_safetensors_holds_the_reference_scripts_names_and_the_metadata():
    content = export_model(ReferenceNet(), file_format="safetensors", metadata={"accuracy": "99.29%"})
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"] == {"accuracy": "99.29%"}
    assert {name.partition(".")[0] for name in header} == {"__metadata__", "conv1", "conv2", "fc1", "fc2"}
