"""The shapes of names from outside. Whatever becomes part of a key or a path is checked here first."""

import re
import secrets
from typing import Annotated

from pydantic import StringConstraints

from mnist_shared.errors import InvalidInput

RUN_ID_PATTERN = r"^[0-9a-f]{12}$"
WORKER_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
FILE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$"
RUN_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9._-]{1,62}$"
TAG_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:=/-]{0,62}$"
# A user's model file on the shared volume: its own name, the beginning of its SHA-256, and how it is to be read.
MODEL_SUFFIXES = (".safetensors", ".onnx", ".pt", ".pth", ".torchscript")
MODEL_NAME_PATTERN = (
    rf"^[A-Za-z0-9][A-Za-z0-9_-]{{0,62}}-[0-9a-f]{{12}}({'|'.join(MODEL_SUFFIXES).replace('.', '[.]')})$"
)

RunId = Annotated[str, StringConstraints(pattern=RUN_ID_PATTERN)]
WorkerName = Annotated[str, StringConstraints(pattern=WORKER_NAME_PATTERN)]
FileName = Annotated[str, StringConstraints(pattern=FILE_NAME_PATTERN)]
RunName = Annotated[str, StringConstraints(pattern=RUN_NAME_PATTERN)]
Tag = Annotated[str, StringConstraints(pattern=TAG_PATTERN)]
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME_PATTERN)]


def new_run_id() -> str:
    """A fresh run id: 48 random bits as 12 hexadecimal digits."""
    return secrets.token_hex(6)


def checked_run_id(text: str) -> str:
    """`text` itself, when it is a run id.

    Raises:
        InvalidInput: it is not.
    """
    return _checked(text, RUN_ID_PATTERN, what="a run id", hint="A run id is 12 hexadecimal digits.")


def checked_run_name(text: str) -> str:
    """`text` itself, when a run may be called so. Never what could be taken for an id, its beginning, or `last`.

    Raises:
        InvalidInput: it may not.
    """
    hint = "Use 2 to 63 letters, digits, '.', '_' and '-', a letter first."
    _checked(text, RUN_NAME_PATTERN, what="a name for a run", hint=hint)
    if text.lower() == "last" or (len(text) <= 12 and not set(text.lower()) - set("0123456789abcdef")):
        raise InvalidInput(f"{text!r} could be taken for the id of a run.", hint="Give it another name.")
    return text


def checked_tag(text: str) -> str:
    """`text` itself, when it is a tag.

    Raises:
        InvalidInput: it is not.
    """
    hint = "Use up to 63 letters, digits, '.', '_', ':', '=', '/' and '-'."
    return _checked(text, TAG_PATTERN, what="a tag", hint=hint)


def checked_worker_name(text: str) -> str:
    """`text` itself, when a worker may be called so.

    Raises:
        InvalidInput: it may not.
    """
    hint = "Use up to 63 letters, digits, '.', '_' and '-'."
    return _checked(text, WORKER_NAME_PATTERN, what="a worker name", hint=hint)


def matches(text: str, pattern: str) -> bool:
    """Whether the whole of `text` is of one of the patterns, which are written for pydantic: `^...$`.

    In Python alone `$` would let a line break through.
    """
    return re.fullmatch(pattern[1:-1], text) is not None


def _checked(text: str, pattern: str, *, what: str, hint: str) -> str:
    if not isinstance(text, str) or not matches(text, pattern):
        raise InvalidInput(f"{text!r:.80} is not {what}.", hint=hint)
    return text
