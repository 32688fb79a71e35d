"""What a network is trained to make small."""

from torch import Tensor
from torch.nn import functional


def training_loss(log_probabilities: Tensor, labels: Tensor, *, smoothing: float) -> Tensor:
    """The mean cross-entropy of a batch, nats an image; `log_probabilities` is float [N, 10], `labels` int64 [N].

    `smoothing` is the share of each target that is spread evenly over all classes (https://arxiv.org/abs/1512.00567,
    section 7): an image then costs at least that share's entropy.
    """
    loss = functional.nll_loss(log_probabilities, labels)
    if smoothing == 0:
        return loss
    return (1 - smoothing) * loss - smoothing * log_probabilities.mean()
