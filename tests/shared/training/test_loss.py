"""The training loss is torch's own, smoothed or not."""

import pytest
import torch
from torch.nn import functional

from mnist_shared.training.loss import training_loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_it_is_the_cross_entropy_with_label_smoothing(smoothing: float) -> None:
    logits, labels = torch.randn(20, 10), torch.randint(10, (20,))
    found = training_loss(functional.log_softmax(logits, dim=1), labels, smoothing=smoothing)
    torch.testing.assert_close(found, functional.cross_entropy(logits, labels, label_smoothing=smoothing))
