"""Settings that are one of a few words: whatever their case, and nothing else."""

import pytest

from mnist_shared.errors import InvalidInput
from mnist_worker.choices import read_choice
from mnist_worker.gpu_claim import POLICIES
from mnist_worker.logs import LEVELS, LOG_FORMATS


def test_a_choice_is_read_whatever_its_case() -> None:
    assert read_choice("JSON", LOG_FORMATS, setting="MNIST_LOG_FORMAT") == "json"
    assert read_choice("Wait", POLICIES, setting="MNIST_GPU_POLICY") == "wait"
    assert read_choice("info", LEVELS, setting="MNIST_LOG_LEVEL") == "info"


@pytest.mark.parametrize("text", ["fair", "", "share ", "x" * 1000])
def test_an_unknown_choice_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(InvalidInput, match="MNIST_GPU_POLICY is ") as caught:
        read_choice(text, POLICIES, setting="MNIST_GPU_POLICY")
    assert caught.value.hint == "Use share, wait or cpu."
    assert len(str(caught.value)) < 100
