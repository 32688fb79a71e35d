"""How pixels become a network's input: a part of what it was trained with, so checkpoints and exports carry it.

It is written as a formula, for people as well: `(pixel / 255 - 0.1307) / 0.3081`.
"""

import re

from pydantic import ValidationError

from mnist_shared.contracts.config import is_dataset_name
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.training.data import FACTS

_NUMBER = r"(\d{1,3}(?:\.\d{1,20})?(?:e-\d{1,2})?)"
_FORMULA = re.compile(rf"\(pixel / 255 - {_NUMBER}\) / {_NUMBER}")


def formula(mean: float, std: float) -> str:
    """The normalisation, with every digit that it takes to read the same numbers again."""
    return f"(pixel / 255 - {mean!r}) / {std!r}"


def trained_with(stated: object, *, dataset: str | None) -> Normalisation | None:
    """The normalisation that a checkpoint or model file states, else that of the known data set which it names.

    None: it says nothing of use. Older checkpoints name their data set alone, which may be a user's own.
    """
    name = dataset if dataset is not None and is_dataset_name(dataset) else None
    found = _FORMULA.fullmatch(stated) if isinstance(stated, str) else None
    if found is not None:
        try:
            return Normalisation(mean=float(found[1]), std=float(found[2]), dataset=name)
        except ValidationError:
            pass  # not of pixels: a file can hold any text
    facts = FACTS.get(name or "")
    return Normalisation(mean=facts.mean, std=facts.std, dataset=name) if facts is not None else None
