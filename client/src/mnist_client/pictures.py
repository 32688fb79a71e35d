"""Pictures of single digits, made into what the network was trained on.

MNIST's own preprocessing (http://yann.lecun.com/exdb/mnist/): scaled to fit a box of 20 x 20 pixels with the aspect
ratio kept, then placed in a field of 28 x 28 so that its centre of mass lies in the centre; white on black.
"""

import glob
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_shared.errors import InvalidInput, MissingPart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

SIDE = 28  # pixels of the field
BOX = 20  # pixels of the box in it
MAX_PIXELS = 50_000_000  # of a picture; what is larger may be a decompression bomb
MAX_BYTES = 100_000_000
MIN_INK = 0.1  # what a pixel at the edge of the digit has at least
MIN_CONTRAST = 32  # grey levels between ink and ground; less is blank
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm")
STDIN = "-"


@dataclass(frozen=True)
class Picture:
    """One picture, ready for the network, or why it is not."""

    source: str  # as it is shown
    field: "NDArray[np.uint8] | None" = None  # uint8 [28, 28], white on black
    problem: str = ""


def find_pictures(names: Sequence[str]) -> list[str]:
    """The files that a user means: files, folders (their pictures, in order of name), patterns, and `-` for stdin.

    Raises:
        InvalidInput: a folder or a pattern has no pictures.
    """
    found: list[str] = []
    for name in names:
        path = Path(name)
        if name != STDIN and path.is_dir():
            inside = sorted(str(file) for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not inside:
                raise InvalidInput(f"There are no pictures in the folder {name}.", hint=f"Looked for {_suffixes()}.")
            found += inside
        elif name != STDIN and not path.exists() and any(char in name for char in "*?["):
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise InvalidInput(f"No file matches {name!r}.", hint="Check the pattern, or quote it for the shell.")
            found += matches
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def read_pictures(names: Sequence[str], *, box: int | None = BOX) -> Iterator[Picture]:
    """Each picture in turn; one that cannot be read, or is blank, has a problem instead of a field.

    `box` is the side that the digit is scaled to: 20 as in MNIST, 28 for sets whose pictures fill the field; None only
    shrinks the whole picture to 28 x 28: what one gets without any preprocessing.

    Raises:
        MissingPart: Pillow or numpy is not installed.
    """
    _require_parts()
    for name in names:
        try:
            image = _open(name)
            yield Picture(name, shrunk(image) if box is None else prepared(image, box=box))
        except _Unusable as error:
            yield Picture(name, problem=str(error))


class _Unusable(Exception):
    """Why a picture cannot be used, in a few words."""


def prepared(image: "Image", *, box: int = BOX) -> "NDArray[np.uint8]":
    """A grey picture of any size and polarity in MNIST's field, uint8 [28, 28], scaled to a square of side `box`."""
    import numpy as np

    ink = _ink(np.asarray(image, dtype=np.float64))
    rows, columns = np.flatnonzero((ink > MIN_INK).any(axis=1)), np.flatnonzero((ink > MIN_INK).any(axis=0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = cropped.shape
    scale = box / max(height, width)
    small = _resized(cropped, max(1, round(height * scale)), max(1, round(width * scale)))
    return _centred(small)


def shrunk(image: "Image") -> "NDArray[np.uint8]":
    """A grey picture squeezed into 28 x 28 as it is."""
    import numpy as np
    from PIL import Image as pil

    return np.asarray(image.resize((SIDE, SIDE), pil.Resampling.BOX), dtype=np.uint8)


def _open(name: str) -> "Image":
    from PIL import Image as pil
    from PIL import ImageOps, UnidentifiedImageError

    try:
        content = sys.stdin.buffer.read(MAX_BYTES + 1) if name == STDIN else _read(Path(name))
        if len(content) > MAX_BYTES:
            raise _Unusable("it is larger than 100 MB")
        image = pil.open(io.BytesIO(content))
        if image.width * image.height > MAX_PIXELS:
            raise _Unusable(f"{image.width} x {image.height} pixels are too many")
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            # Transparent is what is not drawn: ground of the polarity that the ink does not have.
            ground = pil.new("RGBA", upright.size, _ground_of(upright))
            upright = pil.alpha_composite(ground, upright)
        return upright.convert("L")
    except UnidentifiedImageError:
        raise _Unusable("it is no picture, or of a kind that cannot be read") from None
    except OSError as error:
        raise _Unusable(f"it cannot be read ({error.strerror or error})") from None
    except (ValueError, SyntaxError, EOFError, pil.DecompressionBombError) as error:
        raise _Unusable(f"it is damaged ({error})") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _ground_of(image: "Image") -> tuple[int, int, int, int]:
    """White under dark ink, black under light ink, by the opaque pixels' mean."""
    import numpy as np

    pixels = np.asarray(image, dtype=np.float64)
    opaque = pixels[..., 3] > 127
    light = float(pixels[..., :3].mean(axis=2)[opaque].mean()) if opaque.any() else 0.0
    return (0, 0, 0, 255) if light > 127 else (255, 255, 255, 255)


def _ink(grey: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """How much ink is on each pixel, 0 to 1: the ground is what most of the border shows."""
    import numpy as np

    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = float(np.median(border))
    distance = np.abs(grey - ground)
    darker, lighter = ground - float(grey.min()), float(grey.max()) - ground
    distance[(grey < ground) if lighter > darker else (grey > ground)] = 0  # the other side of the ground is noise
    strongest = float(np.percentile(distance, 99.5)) if distance.size > 400 else float(distance.max())
    strongest = max(strongest, 0.8 * float(distance.max()))
    if strongest < MIN_CONTRAST:
        raise _Unusable("it is blank")
    # Paper is never quite even: a tenth of the range counts as ground.
    return np.clip((distance / strongest - 0.1) / 0.9, 0, 1)


def _resized(ink: "NDArray[np.float64]", height: int, width: int) -> "NDArray[np.float64]":
    import numpy as np
    from PIL import Image as pil

    image = pil.fromarray(ink.astype(np.float32))
    shrinks = ink.shape[0] > height or ink.shape[1] > width
    return np.asarray(image.resize((width, height), pil.Resampling.BOX if shrinks else pil.Resampling.BILINEAR), float)


def _centred(small: "NDArray[np.float64]") -> "NDArray[np.uint8]":
    """`small` in a field of 28 x 28, its centre of mass at pixel (14, 14) as far as it fits."""
    import numpy as np

    small = small / small.max()
    height, width = small.shape
    mass = small.sum()
    row = float((small.sum(axis=1) * np.arange(height)).sum() / mass)
    column = float((small.sum(axis=0) * np.arange(width)).sum() / mass)
    top = min(max(round(SIDE / 2 - row), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - column), 0), SIDE - width)
    field = np.zeros((SIDE, SIDE))
    field[top : top + height, left : left + width] = small
    return np.rint(field * 255).astype(np.uint8)


def _require_parts() -> None:
    try:
        import numpy  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingPart(
            f"Pictures need {error.name}, which is not installed.", hint="pip install 'mnist-client[predict]'"
        ) from error


def _suffixes() -> str:
    return ", ".join(SUFFIXES)
