"""A model card: what an exported network is, was trained on and can do.

After Mitchell et al. 2019, https://arxiv.org/abs/1810.03993.
"""

import torch

from mnist_shared.contracts.requests import ExportFormat
from mnist_shared.training.data import Dataset
from mnist_shared.training.digests import weights_sha256
from mnist_shared.training.evaluation import Evaluation
from mnist_shared.training.normalisation import formula
from mnist_shared.training.tested import LoadedNetwork

_USE: dict[ExportFormat, str] = {
    "safetensors": """from safetensors.torch import load_file
weights = load_file("{file}")   # a state_dict; the network's class is needed for more""",
    "torchscript": """import torch
network = torch.jit.load("{file}")
log_probabilities = network(images)   # float32 [N, 10]""",
    "onnx": """import onnxruntime
session = onnxruntime.InferenceSession("{file}")
(log_probabilities,) = session.run(None, {{"images": images}})   # float32 [N, 10]""",
}


def model_card(
    tested: LoadedNetwork,
    *,
    target: str,
    data: Dataset,
    evaluation: Evaluation,
    file: str,
    file_format: ExportFormat,
) -> str:
    """The card in Markdown."""
    config = tested.config.model_dump(mode="json")
    rows = "\n".join(f"| `{name}` | {value} |" for name, value in config.items())
    accuracy = 100 * evaluation.correct / evaluation.total
    return f"""# {file}

A digit classifier, trained by run `{target}` on `{data.name}`, after epoch {tested.ref.epoch}.

| | |
| --- | --- |
| test accuracy | {evaluation.correct}/{evaluation.total} ({accuracy:.2f}%) |
| test loss | {evaluation.average_loss:.4f} (mean negative log-likelihood) |
| parameters | {sum(weight.numel() for weight in tested.model.parameters()):,} |
| weights, SHA-256 | `{weights_sha256(tested.model)}` |
| checkpoint, SHA-256 | `{tested.ref.sha256}` |
| data, SHA-256 | `{data.sha256}` |
| torch | {torch.__version__} |

## Use

Images are float32 `[N, 1, 28, 28]`, white on black, centred as in MNIST, and normalised:
`{formula(data.mean, data.std)}`. Answers are logarithms of the probabilities of
{", ".join(data.classes)}.

```python
{_USE[file_format].format(file=file)}
```

## Configuration

| argument | value |
| --- | --- |
{rows}

## Limits

Trained on {len(data.train_images):,} images of 28 x 28 pixels, tested on {len(data.test_images):,} of the same origin.
It gives one of its classes for any image, also for one that shows none of them.
"""
