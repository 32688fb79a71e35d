"""`plot`: curves in text, and as a picture."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_client.rendering.canvas import Canvas
from mnist_client.rendering.scale import fit, round_step
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner


@pytest.fixture
def curve(owned: Callable[..., Owner]) -> str:
    """A run whose accuracy rises in a straight line."""
    owner = owned(epochs=5)
    owner.start()
    for epoch in range(1, 6):
        owner.epoch(epoch, correct=9800 + 20 * epoch)
    return owner.succeed()


def test_a_curve_in_a_terminal(cli: Cli, curve: str, store: RunStore) -> None:
    terminal = cli.terminal("plot", "last", columns=60)
    assert terminal.finish() == 0
    lines = [line for line in terminal.lines if line.strip()]
    assert max(map(len, lines)) <= 60
    assert lines[0].strip() == "test accuracy in % by epoch"
    assert lines[1].endswith("●")
    assert any(line.startswith("98.5 ┤") for line in lines)
    assert lines[-3].strip().startswith("└┬")
    assert lines[-2].split() == ["1", "2", "3", "4", "5"]
    assert lines[-1].split()[:2] == ["●", store.get(curve).options.name]
    assert "best 99.00% at epoch 5  last 99.00%" in lines[-1]


def test_ascii_alone_where_there_is_no_more(cli: Cli, curve: str) -> None:
    done = cli("plot", "last", "--metric", "lr", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "learning rate by epoch" in done.stdout
    assert "*" in done.stdout


def test_the_points_as_json(cli: Cli, curve: str) -> None:
    (document,) = json.loads(cli("plot", curve, "--metric", "images-per-second", "--json").stdout)
    assert (document["id"], document["points"][0]) == (curve, [1, 1097.4])
    done = cli("plot", curve, "--metric", "validation-accuracy")
    assert done.returncode == 101
    assert "--validation-size" in done.stderr
    assert cli("plot", curve, "--metric", "beauty").returncode == 2


def test_a_run_without_an_epoch_has_no_curve_yet(cli: Cli, submitted: Callable[..., str]) -> None:
    submitted()
    done = cli("plot", "last")
    assert done.returncode == 101
    assert "first finished epoch" in done.stderr


def test_a_picture(cli: Cli, curve: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "curve.png"
    done = cli("plot", "last", "--png", str(path))
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [one.name for one in tmp_path.glob("*.png*")] == ["curve.png"]
    done = cli("plot", "last", "--png", str(tmp_path / "nowhere" / "curve.png"))
    assert done.returncode == 1
    assert "nowhere" in done.stderr


def test_without_matplotlib_the_picture_says_what_to_install(cli: Cli, curve: str, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    done = cli("plot", "last", "--png", str(tmp_path / "curve.png"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'mnist-client[plot]'" in done.stderr


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([97.1, 99.3], ["97.5", "98.0", "98.5", "99.0"]),
        ([0.0133, 0.2], ["0.05", "0.10", "0.15", "0.20"]),
        ([1100.0, 2000.0], ["1,200", "1,400", "1,600", "1,800", "2,000"]),
        ([0.0, 1.2], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
    ],
)
def test_an_axis_has_round_numbers(values: list[float], labels: list[str]) -> None:
    scale = fit(values, num_steps=5)
    assert [scale.label(tick) for tick in scale.ticks] == labels


def test_a_flat_curve_has_room_above_and_below() -> None:
    for value in (99.1, 0.0, 1e-6):
        scale = fit([value, value], num_steps=4)
        assert scale.share(value) == pytest.approx(0.5)
        assert all(math.isfinite(tick) for tick in scale.ticks)


def test_steps_between_epochs_are_whole() -> None:
    assert [round_step(least, whole=True) for least in (0.3, 1.0, 1.4, 2.1, 12.0, 30.0)] == [1, 1, 2, 5, 20, 50]


def test_dots_fall_where_they_should() -> None:
    canvas = Canvas(2, 1, is_unicode=True)
    canvas.line((0, 0), (0, 3), owner=0)
    canvas.mark((3, 3), "A", owner=1)
    assert canvas.runs(0) == [("⡇", 0), ("A", 1)]
    plain = Canvas(3, 1, is_unicode=False)
    plain.line((0, 0), (1, 0), owner=0)
    assert plain.runs(0) == [("..", 0), (" ", None)]
