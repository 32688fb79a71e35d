"""Pictures of single digits, made into what the network was trained on.

MNIST's own preprocessing (http://yann.lecun.com/exdb/mnist/): scaled to fit a box of 20 x 20 pixels with the aspect
ratio kept, then placed in a field of 28 x 28 so that its centre of mass lies in the centre; white on black.

All of it by Pillow: what becomes of a pixel depends on its grey alone, so a table of 256 entries does what numpy
would, which is larger than the rest of the client.
"""

import glob
import io
import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_shared.errors import InvalidInput, MissingPart

if TYPE_CHECKING:
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
    field: "Image | None" = None  # grey ("L"), 28 x 28, white on black
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
        MissingPart: Pillow is not installed.
    """
    _require_pillow()
    for name in names:
        try:
            image = _open(name)
            yield Picture(name, shrunk(image) if box is None else prepared(image, box=box))
        except _Unusable as error:
            yield Picture(name, problem=str(error))


class _Unusable(Exception):
    """Why a picture cannot be used, in a few words."""


def prepared(image: "Image", *, box: int = BOX) -> "Image":
    """A grey picture of any size and polarity in MNIST's field, 28 x 28, scaled to a square of side `box`."""
    ink = _ink_of_greys(image)
    digit = image.crop(image.point([255 * (amount > MIN_INK) for amount in ink]).getbbox()).point(ink, "F")
    scale = box / max(digit.size)
    return _centred(_resized(digit, max(1, round(digit.width * scale)), max(1, round(digit.height * scale))))


def shrunk(image: "Image") -> "Image":
    """A grey picture squeezed into 28 x 28 as it is."""
    from PIL import Image as pil

    return image.resize((SIDE, SIDE), pil.Resampling.BOX)


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
    from PIL.ImageStat import Stat

    opaque = image.getchannel("A").point([255 * (alpha > 127) for alpha in range(256)])
    light = sum(Stat(image.convert("RGB"), opaque).mean) / 3 if opaque.getbbox() else 0.0
    return (0, 0, 0, 255) if light > 127 else (255, 255, 255, 255)


def _ink_of_greys(image: "Image") -> list[float]:
    """How much ink, 0 to 1, a pixel of each grey is. The ground is what most of the border shows."""
    right, bottom = image.size
    sides = ((0, 0, right, 1), (0, bottom - 1, right, bottom), (0, 0, 1, bottom), (right - 1, 0, right, bottom))
    border = [sum(counts) for counts in zip(*(image.crop(side).histogram() for side in sides), strict=True)]
    ground = _quantile(enumerate(border), 0.5)
    counts = image.histogram()
    greys = [grey for grey, count in enumerate(counts) if count]
    is_lighter = greys[-1] - ground > ground - greys[0]
    # What lies on the other side of the ground is noise.
    distances = [max(grey - ground if is_lighter else ground - grey, 0.0) for grey in range(256)]
    most = max(distances[grey] for grey in greys)
    is_tiny = image.width * image.height <= 400
    strongest = most if is_tiny else max(_quantile(zip(distances, counts, strict=True), 0.995), 0.8 * most)
    if strongest < MIN_CONTRAST:
        raise _Unusable("it is blank")
    # Paper is never quite even: a tenth of the range counts as ground.
    return [min(max((distance / strongest - 0.1) / 0.9, 0.0), 1.0) for distance in distances]


def _quantile(counted: Iterable[tuple[float, int]], share: float) -> float:
    """The value below which that share lies, of values that each occur so often; interpolated between two of them."""
    ordered = sorted((value, count) for value, count in counted if count)
    ends = list(accumulate(count for _, count in ordered))
    place = share * (ends[-1] - 1)
    low, high = (ordered[bisect_right(ends, index)][0] for index in (math.floor(place), math.ceil(place)))
    return low + (high - low) * (place - math.floor(place))


def _resized(ink: "Image", width: int, height: int) -> "Image":
    from PIL import Image as pil

    shrinks = ink.width > width or ink.height > height
    return ink.resize((width, height), pil.Resampling.BOX if shrinks else pil.Resampling.BILINEAR)


def _centred(small: "Image") -> "Image":
    """`small`, of floats, in a field of 28 x 28, its centre of mass at pixel (14, 14) as far as it fits."""
    from PIL import Image as pil

    width, height = small.size
    ink = memoryview(small.tobytes()).cast("f").tolist()
    mass, most = sum(ink), max(ink)
    row = sum(place // width * amount for place, amount in enumerate(ink)) / mass
    column = sum(place % width * amount for place, amount in enumerate(ink)) / mass
    top = min(max(round(SIDE / 2 - row), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - column), 0), SIDE - width)
    field = pil.new("L", (SIDE, SIDE))
    grey = bytes(round(255 * (amount / most)) for amount in ink)
    field.paste(pil.frombytes("L", (width, height), grey), (left, top))
    return field


def _require_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingPart(
            "Pictures need Pillow, which is not installed.", hint="pip install 'mnist-client[predict]'"
        ) from error


def _suffixes() -> str:
    return ", ".join(SUFFIXES)
