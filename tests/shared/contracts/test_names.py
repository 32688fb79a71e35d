"""What runs may be called."""

from mnist_shared.contracts.names import checked_run_name
from mnist_shared.contracts.run_names import ADJECTIVES, ANIMALS, random_run_name


def test_every_generated_name_is_a_name_for_a_run() -> None:
    longest = max(map(len, ADJECTIVES.split())) + 1 + max(map(len, ANIMALS.split()))
    assert longest <= 24  # a column's width
    for words in (ADJECTIVES.split(), ANIMALS.split()):
        assert len(words) == len(set(words)) >= 150
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    assert checked_run_name(random_run_name())
