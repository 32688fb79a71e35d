"""Pictures of digits, made into what MNIST looks like."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_client.pictures import find_pictures, read_pictures
from mnist_shared.errors import InvalidInput

DATA = os.environ.get("MNIST_DATA_DIR")  # read now: the tests of the client do without the user's settings


def a_stroke(
    size: tuple[int, int] = (200, 120), *, ink: int = 0, ground: int = 255, box: tuple[int, ...] = (30, 20, 60, 100)
) -> Image.Image:
    """A bar that stands upright."""
    image = Image.new("L", size, ground)
    ImageDraw.Draw(image).rectangle(box, fill=ink)
    return image


def read(path: Path, **how: object) -> np.ndarray:
    (picture,) = read_pictures([str(path)], **how)
    assert picture.field is not None, picture.problem
    return np.asarray(picture.field)


def problem(path: Path) -> str:
    (picture,) = read_pictures([str(path)])
    assert picture.field is None
    return picture.problem


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def test_the_digit_is_scaled_to_a_box_of_20_and_its_centre_of_mass_centred(tmp_path):
    field = read(saved(a_stroke(), tmp_path / "one.png"))
    assert (field.shape, field.dtype) == ((28, 28), np.uint8)
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    assert len(rows) == 20
    assert len(columns) == 8  # 31 x 81 pixels: the aspect ratio is kept
    weights = field.astype(float)
    row = (weights.sum(axis=1) * np.arange(28)).sum() / weights.sum()
    column = (weights.sum(axis=0) * np.arange(28)).sum() / weights.sum()
    assert row == pytest.approx(14, abs=0.6)
    assert column == pytest.approx(14, abs=0.6)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_dark_on_light_and_light_on_dark_come_to_the_same(tmp_path, suffix):
    dark = read(saved(a_stroke(), tmp_path / f"dark.{suffix}"))
    light = read(saved(a_stroke(ink=255, ground=0), tmp_path / f"light.{suffix}"))
    assert np.array_equal(dark, light)
    assert dark.max() == 255


def test_the_noise_of_jpeg_is_no_ink(tmp_path):
    field = read(saved(a_stroke(), tmp_path / "one.jpg"))
    assert len(np.flatnonzero(field.any(axis=1))) == 20
    assert len(np.flatnonzero(field.any(axis=0))) in (8, 9)


def test_neither_size_nor_place_nor_weak_ink_matters(tmp_path):
    large = read(saved(a_stroke(), tmp_path / "large.png"))
    moved = read(saved(a_stroke((400, 300), box=(300, 150, 330, 230)), tmp_path / "moved.png"))
    pencil = read(saved(a_stroke(ink=150, ground=230), tmp_path / "pencil.png"))
    assert np.array_equal(large, moved)
    assert np.array_equal(large, pencil)


def test_what_is_transparent_is_ground(tmp_path):
    image = Image.new("RGBA", (200, 120), (255, 255, 255, 0))
    ImageDraw.Draw(image).rectangle((30, 20, 60, 100), fill=(10, 10, 10, 255))
    assert np.array_equal(read(saved(image, tmp_path / "a.png")), read(saved(a_stroke(), tmp_path / "b.png")))


def test_a_tiny_picture_is_enlarged(tmp_path):
    field = read(saved(a_stroke((8, 8), box=(3, 1, 4, 6)), tmp_path / "tiny.png"))
    assert len(np.flatnonzero(field.any(axis=1))) == 20


def test_an_image_of_mnist_itself_stays_nearly_as_it_is(tmp_path, mnist_images):
    for number, image in enumerate(mnist_images[:20]):
        field = read(saved(Image.fromarray(image), tmp_path / f"{number}.png"))
        assert np.abs(field.astype(int) - image).mean() < 8


def test_without_preprocessing_the_whole_picture_is_squeezed(tmp_path):
    path = saved(a_stroke((280, 280), box=(0, 0, 27, 27)), tmp_path / "corner.png")
    field = read(path, box=None)
    assert field[0, 0] < 60
    assert field[20, 20] == 255


def test_a_blank_picture_has_nothing_to_tell(tmp_path):
    assert problem(saved(Image.new("L", (50, 50), 255), tmp_path / "white.png")) == "it is blank"
    noise = np.random.default_rng(0).integers(240, 250, (50, 50), dtype=np.uint8)
    assert problem(saved(Image.fromarray(noise), tmp_path / "paper.png")) == "it is blank"


def test_what_cannot_be_read_is_a_problem_of_that_picture_alone(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    whole = saved(a_stroke(), tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    names = [str(tmp_path / name) for name in ("text.png", "cut.png", "none.png", "good.png")]
    text, cut, none, good = read_pictures(names)
    assert "no picture" in text.problem
    assert cut.problem
    assert "No such file" in none.problem
    assert good.field is not None


def test_a_picture_that_would_unpack_to_gigabytes_is_refused(tmp_path):
    Image.new("1", (40_000, 30_000)).save(tmp_path / "bomb.png")
    assert problem(tmp_path / "bomb.png")


def test_folders_and_patterns_mean_their_pictures_in_order(tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert find_pictures([str(tmp_path)]) == [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]
    assert find_pictures([str(tmp_path / "*.png"), "-", "-"]) == [str(tmp_path / "b.png"), "-"]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match="no pictures"):
        find_pictures([str(tmp_path)])
    with pytest.raises(InvalidInput, match="No file matches"):
        find_pictures([str(tmp_path / "*.png")])


def test_a_dash_is_standard_input(tmp_path, monkeypatch):
    content = saved(a_stroke(), tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (picture,) = read_pictures(["-"])
    assert picture.field is not None


def test_pillow_is_all_that_it_takes(tmp_path):
    path = saved(a_stroke(), tmp_path / "one.jpg")
    script = "import sys; sys.modules['numpy'] = None; from mnist_client.pictures import read_pictures; "
    script += "print([picture.field.size for picture in read_pictures(sys.argv[1:])])"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=20)
    assert done.stdout == "[(28, 28)]\n", done.stderr


@pytest.fixture
def mnist_images() -> np.ndarray:
    """The first test images of MNIST."""
    if not DATA:
        pytest.skip("MNIST_DATA_DIR is not set: no real MNIST here")
    file = Path(DATA) / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    return np.frombuffer(file.read_bytes(), dtype=np.uint8, offset=16).reshape(-1, 28, 28)
