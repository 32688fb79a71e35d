"""`predict`: pictures in, answers out; one bad picture spoils nothing."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_client.rendering.output import Paper
from mnist_client.rendering.pixels import pixel_lines
from mnist_client.targets import packed_batches
from mnist_shared.contracts.requests import MAX_PACKED_LENGTH, MAX_PICTURES, PredictRequest
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import COMMAND, Cli
from tests.client.owner import Owner
from tests.client.terminal import Terminal
from tests.processes import eventually

Predicted = Callable[..., subprocess.CompletedProcess[str]]


def a_bar(path: Path, row: int) -> Path:
    """A picture that already looks like MNIST's, its brightest row that one: the stand-in answers `row % 10`."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[row - 1 : row + 2, 8:20] = 120
    pixels[row] = np.where(pixels[row] > 0, 255, 0)
    Image.fromarray(pixels).save(path)
    return path


def waiting_prediction(store: RunStore) -> str:
    def found() -> str | None:
        queued = [record for record in store.latest(9) if record.state == "queued"]
        return queued[-1].id if queued and isinstance(queued[-1].request, PredictRequest) else None

    return eventually(found, what="the prediction")


@pytest.fixture
def predicted(cli: Cli, store: RunStore, owned: Callable[..., Owner]) -> Predicted:
    """`predict --no-preprocess` of these files, by a trained run."""

    def predict(*arguments: str, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
        owned(epochs=1).train()
        with (stdin or Path("/dev/null")).open("rb") as source:
            process = subprocess.Popen(
                [str(COMMAND), "predict", "--no-preprocess", *arguments], env=cli.environment, stdin=source,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            cli.started.append(process)
        Owner(store, waiting_prediction(store)).predict()
        stdout, stderr = process.communicate(timeout=20)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return predict


def test_a_line_a_picture_with_the_answer_and_the_next_best(predicted: Predicted, store: RunStore, tmp_path: Path):
    seven, three = a_bar(tmp_path / "seven.png", 17), a_bar(tmp_path / "three.bmp", 13)
    done = predicted(str(seven), str(three))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{seven}  7   90.00%  else 8   10.00%",
        f"{three}  3   90.00%  else 4   10.00%",
    ]
    record = store.latest(1)[0]
    assert (record.options.priority, record.options.tags) == ("high", ("predict",))
    assert isinstance(record.request, PredictRequest)
    assert record.request.num_pictures == 2


def test_what_cannot_be_read_or_is_blank_is_an_error_of_its_own(predicted: Predicted, tmp_path: Path):
    a_bar(tmp_path / "b.png", 15)
    (tmp_path / "a.png").write_text("no picture")
    done = predicted(str(tmp_path), str(tmp_path / "gone.png"))
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path}/b.png  5   90.00%  else 6   10.00%\n"
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 2
    assert f"{tmp_path}/a.png: it is no picture" in errors[0]
    assert f"{tmp_path}/gone.png: it cannot be read" in errors[1]


def test_json_is_an_object_a_picture_in_their_order(predicted: Predicted, tmp_path: Path, store: RunStore):
    picture = a_bar(tmp_path / "b.png", 15)
    done = predicted("--json", str(tmp_path / "gone.png"), "-", stdin=picture)
    gone, read = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert gone == {"picture": str(tmp_path / "gone.png"), "error": "it cannot be read (No such file or directory)"}
    assert (read["picture"], read["answer"], read["probability"]) == ("-", "5", 0.9)
    assert read["probabilities"] == {str(digit): {5: 0.9, 6: 0.1}.get(digit, 0.0) for digit in range(10)}
    assert read["prediction"] == store.latest(1)[0].id


def test_nothing_is_sent_where_nothing_can_be_asked(
    cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path
):
    Image.new("L", (28, 28), 255).save(tmp_path / "blank.png")
    picture = str(tmp_path / "blank.png")
    owner = owned(epochs=2)
    assert cli("predict", picture).returncode == 101  # no checkpoint yet
    owner.train()
    done = cli("predict", picture)
    assert (done.returncode, done.stdout) == (1, "")
    assert "blank.png: it is blank." in done.stderr
    assert store.count() == 1


def test_a_terminal_shows_what_the_network_saw(cli: Cli, store: RunStore, owned: Callable[..., Owner], tmp_path: Path):
    def seen(*options: str, **variables: str) -> Terminal:
        terminal = cli.terminal("predict", str(a_bar(tmp_path / "b.png", 15)), *options, columns=100, **variables)
        Owner(store, waiting_prediction(store)).predict()
        assert terminal.finish() == 0
        return terminal

    owned(epochs=1).train()
    del cli.environment["NO_COLOR"]
    assert "\x1b[38;5;255;48;5;" in (colours := seen(TERM="xterm-256color")).raw
    assert sum("▀" * 28 in line for line in colours.lines) == 14
    assert any("█" in line for line in seen("--no-preprocess", NO_COLOR="1").lines)
    assert "▀" not in (text := seen("--no-show").text)
    assert "/b.png  " in text  # of a long path the end is shown


def test_pixels_where_there_is_only_ascii():
    rows = [bytes(28)] * 10 + [bytes(3) + b"\xff\xff" + bytes(23)] * 2 + [bytes(28)] * 16
    lines = pixel_lines(rows, Paper(is_unicode=False))
    assert (len(lines), lines[5]) == (14, "   @@")


def test_as_many_requests_as_it_takes():
    digits = [bytes(28 * 28)] * (MAX_PICTURES + 5)
    assert [count for count, _ in packed_batches(digits)] == [MAX_PICTURES, 5]
    noise = [np.random.default_rng(number).bytes(28 * 28) for number in range(1500)]
    batches = packed_batches(noise)
    assert sum(count for count, _ in batches) == 1500
    assert len(batches) > 1
    assert all(len(packed) <= MAX_PACKED_LENGTH for _, packed in batches)
