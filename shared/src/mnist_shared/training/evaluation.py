"""How good a network is: loss and correct answers over a set of images."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.events import EvaluationStarted, RunEvent
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.contracts.runs import EvaluateResult
from mnist_shared.training.data import Dataset
from mnist_shared.training.model_files import FileNetwork
from mnist_shared.training.tested import LoadedNetwork

CPU_CHUNK = 128  # of a network that does not say


class Evaluation(NamedTuple):
    """What a pass over a set of images came to."""

    average_loss: float  # mean negative log-likelihood, nats an image
    correct: int
    total: int


def never() -> bool:
    """The `should_stop` of what is not to be stopped."""
    return False


def normalised(images: Tensor, *, mean: float, std: float) -> Tensor:
    """[N, 28, 28] of 0..255 to float32 [N, 1, 28, 28]; `mean` and `std` on a scale of 0 to 1, as the reference's."""
    return images.unsqueeze(1).to(torch.float32).sub_(mean * 255).mul_(1 / (std * 255))


def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mean: float,
    std: float,
    batch_size: int,
    device: torch.device,
    should_stop: Callable[[], bool] = never,
    answers: list[Tensor] | None = None,
) -> Evaluation | None:
    """Pass `images` (uint8 [N, 28, 28]) through `model`, dropout off; None when `should_stop` said so on the way.

    The images may lie on the CPU or on `device`. `batch_size` is an upper bound: on a CPU the batches are smaller.
    `answers`, where given, gets the log-probabilities, float32 [n, 10] a batch, on `device`.
    """
    chunk = min(batch_size, getattr(model, "chunk", CPU_CHUNK)) if device.type == "cpu" else batch_size
    loss_sum = loss_accumulator(device)
    correct = torch.zeros((), device=device, dtype=torch.int64)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for first in range(0, len(images), chunk):
                if should_stop():
                    return None
                batch = normalised(images[first : first + chunk].to(device), mean=mean, std=std)
                targets = labels[first : first + chunk].to(device)
                output = model(batch)
                if answers is not None:
                    answers.append(output)
                loss_sum += functional.nll_loss(output, targets, reduction="sum")
                correct += (output.argmax(dim=1) == targets).sum()
    finally:
        model.train(was_training)
    return Evaluation(loss_sum.item() / len(images), int(correct.item()), len(images))


def loss_accumulator(device: torch.device) -> Tensor:
    """A zero on `device` to add losses up in without waiting for it: float64, where the device has that."""
    return torch.zeros((), device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)


def evaluate_checkpoint(
    tested: LoadedNetwork | FileNetwork,
    *,
    target: str | None,
    config: TrainConfig,
    data: Dataset,
    normalisation: Normalisation,
    device: torch.device,
    num_threads: int,
    on_event: Callable[[RunEvent], None],
    should_stop: Callable[[], bool] = never,
    answers: list[Tensor] | None = None,
) -> EvaluateResult | None:
    """Evaluate a checkpoint of run `target`, or a model file, on the test set of `data`; None when stopped on the way.

    `normalisation` is the network's own, whatever the data set.
    """
    torch.set_num_threads(num_threads)
    model = tested.model.to(device)
    if isinstance(tested, FileNetwork):
        name, origin = tested.about.name, dict[str, Any](file=tested.about)
    else:
        name, origin = tested.ref.file, dict[str, Any](target=target, checkpoint=tested.ref)
    on_event(
        EvaluationStarted(dataset=data.name, num_images=len(data.test_images), device=device.type, checkpoint=name)
    )
    started = time.monotonic()
    evaluation = evaluate(
        model,
        data.test_images,
        data.test_labels,
        mean=normalisation.mean,
        std=normalisation.std,
        batch_size=config.test_batch_size,
        device=device,
        should_stop=should_stop,
        answers=answers,
    )
    if evaluation is None:
        return None
    return EvaluateResult(
        **origin,
        correct=evaluation.correct,
        total=evaluation.total,
        accuracy=evaluation.correct / evaluation.total,
        average_loss=evaluation.average_loss,
        seconds=time.monotonic() - started,
        device=device.type,
    )
