"""Settings that are one of a few words."""

from collections.abc import Sequence
from typing import TypeVar

from mnist_shared.errors import InvalidInput

Word = TypeVar("Word", bound=str)


def read_choice(text: str, choices: Sequence[Word], *, setting: str) -> Word:
    """The one of `choices`, in lower case, that a user means.

    Raises:
        InvalidInput: there is no such choice; the message names the setting.
    """
    for word in choices:
        if text.lower() == word:
            return word
    raise InvalidInput(f"{setting} is {text!r:.40}.", hint=f"Use {', '.join(choices[:-1])} or {choices[-1]}.")
