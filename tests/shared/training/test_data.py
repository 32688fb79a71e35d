"""Data sets: real ones load, damaged ones name the file and the way out, downloads are whole and quiet."""

import functools
import gzip
import hashlib
import http.server
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import datasets

from mnist_shared.errors import DatasetError, InvalidInput
from mnist_shared.training import data as module
from mnist_shared.training.data import Dataset, load_dataset
from mnist_shared.training.digits import enlarged

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(shape: tuple[int, ...], *, magic: int | None = None, value: int = 1, num_bytes: int | None = None) -> bytes:
    """An IDX file whose elements are all `value`; `num_bytes` of them, where the header lies."""
    count = 1
    for size in shape:
        count *= size
    header = struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape) if magic is None else magic, *shape)
    return header + bytes([value]) * (count if num_bytes is None else num_bytes)


GOOD = {
    FILES[0]: functools.partial(idx, (60_000, 28, 28)),
    FILES[1]: functools.partial(idx, (60_000,)),
    FILES[2]: functools.partial(idx, (10_000, 28, 28), value=2),
    FILES[3]: functools.partial(idx, (10_000,), value=2),
}


@pytest.fixture(autouse=True)
def _nothing_cached() -> Iterator[None]:
    module._load_raw.cache_clear()
    yield
    module._load_raw.cache_clear()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (datasets.MNIST, datasets.KMNIST, datasets.FashionMNIST):
        monkeypatch.setattr(source, "mirrors", ["http://127.0.0.1:9/"])  # "discard": nobody listens


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A well-formed KMNIST (whose raw files have no published MD5) of even pixels."""
    raw = tmp_path_factory.mktemp("whole") / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in GOOD.items():
        (raw / name).write_bytes(content())
    return raw.parent.parent


@pytest.fixture
def broken(whole: Path, tmp_path: Path) -> Any:
    """`broken(name, content)`: the whole set, but for one file."""

    def make(name: str, content: bytes) -> Path:
        raw = tmp_path / "KMNIST" / "raw"
        raw.mkdir(parents=True)
        for file in FILES:
            if file != name:
                (raw / file).symlink_to(whole / "KMNIST" / "raw" / file)
        (raw / name).write_bytes(content)
        return tmp_path

    return make


def test_a_set_has_the_shapes_and_types_that_it_promises(whole: Path) -> None:
    data = load_dataset("kmnist", folder=whole)
    assert data.name == "kmnist"
    assert (data.train_images.shape, data.train_images.dtype) == ((60_000, 28, 28), torch.uint8)
    assert (data.train_labels.shape, data.train_labels.dtype) == ((60_000,), torch.int64)
    assert (data.test_images.shape, data.test_labels.shape) == ((10_000, 28, 28), (10_000,))
    assert data.test_images.unique().tolist() == [2]
    assert len(data.sha256) == 64


def test_a_warm_worker_loads_a_set_once(whole: Path) -> None:
    assert load_dataset("kmnist", folder=whole) is load_dataset("kmnist", folder=whole)


def test_a_folder_that_cannot_be_written_to_is_enough_when_all_is_there(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **more: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "open", refuse)  # a lock file would be opened so
    monkeypatch.setattr(Path, "mkdir", refuse)
    before = sorted(whole.rglob("*"))
    load_dataset("kmnist", folder=whole)
    assert sorted(whole.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (FILES[0], b"", "0 bytes, less than its header"),
        (FILES[0], b"\0\0\x08", "3 bytes, less than its header"),
        (FILES[0], idx((60_000, 28, 28))[:-1], "promises 60000 x 28 x 28 bytes"),
        (FILES[0], idx((2**32 - 1, 2**32 - 1, 2**32 - 1), num_bytes=10), "promises 4294967295"),
        (FILES[0], idx((60_000, 28, 28), num_bytes=5), "and 5 follow"),
        (FILES[0], idx((0, 28, 28)), "empty"),
        (FILES[0], idx((10, 28, 28)), "its shape is (10, 28, 28), not (60000, 28, 28)"),
        (FILES[2], idx((10_000, 14, 56)), "its shape is (10000, 14, 56)"),
        (FILES[0], idx((60_000,)), "it begins with 0x00000801, not 0x00000803"),
        (FILES[1], idx((60_000,), magic=0x0D01), "0x00000d01"),
        (FILES[1], gzip.compress(b"labels", mtime=0), "0x1f8b"),
        (FILES[1], idx((60_000,), value=10), "a label 10"),
        (FILES[3], idx((9_999,)), "(9999,)"),
    ],
)
def test_a_damaged_file_is_named_with_its_reason_and_a_way_out(
    broken: Any, name: str, content: bytes, reason: str
) -> None:
    folder = broken(name, content)
    with pytest.raises(DatasetError) as caught:
        load_dataset("kmnist", folder=folder)
    assert str(folder / "KMNIST" / "raw" / name) in caught.value.message
    assert reason in caught.value.message
    assert all(words in caught.value.hint for words in ("Delete it", "MNIST_DATA_DIR", "--dataset digits"))
    assert "\n" not in str(caught.value)


def test_a_repaired_file_is_read_anew(broken: Any) -> None:
    folder = broken(FILES[1], b"")
    with pytest.raises(DatasetError):
        load_dataset("kmnist", folder=folder)
    (folder / "KMNIST" / "raw" / FILES[1]).write_bytes(GOOD[FILES[1]]())
    assert load_dataset("kmnist", folder=folder).train_labels.sum() == 60_000


def test_well_formed_files_that_are_not_mnist_are_seen_through_by_their_md5(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").symlink_to(whole / "KMNIST" / "raw")
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte is damaged: its MD5"):
        load_dataset("mnist", folder=tmp_path)


def test_missing_data_and_no_network_is_one_line_with_two_ways_out(tmp_path: Path, capfd: Any) -> None:
    with pytest.raises(DatasetError, match=r"KMNIST is not in .* and cannot be downloaded") as caught:
        load_dataset("kmnist", folder=tmp_path)
    assert "MNIST_DATA_DIR" in caught.value.hint
    assert "--dataset digits" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(".lock")] == []
    assert capfd.readouterr() == ("", "")


def test_missing_data_and_nowhere_to_put_it_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=r"cannot be downloaded .*File exists"):
        load_dataset("kmnist", folder=tmp_path / "file")


def test_an_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cifar"):
        load_dataset("cifar", folder=tmp_path)


class Mirror(http.server.SimpleHTTPRequestHandler):
    """A mirror on this machine that counts what it hands out."""

    served: list[str]

    def do_GET(self) -> None:
        self.served.append(self.path)
        super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def mirror(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """KMNIST's mirror is this machine; gives the list of what was fetched from it."""
    folder, resources, served = tmp_path / "mirror", [], []
    folder.mkdir()
    for name in FILES:
        content = gzip.compress((whole / "KMNIST" / "raw" / name).read_bytes(), compresslevel=1)
        (folder / f"{name}.gz").write_bytes(content)
        resources.append((f"{name}.gz", hashlib.md5(content).hexdigest()))
    handler = functools.partial(type("Counting", (Mirror,), {"served": served}), directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setattr(datasets.KMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(datasets.KMNIST, "resources", resources)
        yield served
        server.shutdown()
        thread.join()


def test_missing_files_are_downloaded_once_by_one_of_several_and_in_silence(
    mirror: list[str], tmp_path: Path, capfd: Any
) -> None:
    folder = tmp_path / "volume"
    (folder / ".download-KMNIST-killed").mkdir(parents=True)
    found: list[Dataset] = []
    load = module._load_raw.__wrapped__  # past the cache: as other processes would
    workers = [threading.Thread(target=lambda: found.append(load("kmnist", folder))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({data.sha256 for data in found}) == 1
    assert len(found) == 3
    # Twice each is one download: torchvision looks for redirects first, by a GET that it takes for a HEAD.
    assert {path: mirror.count(path) for path in mirror} == {f"/{name}.gz": 2 for name in FILES}
    assert capfd.readouterr() == ("", "")
    assert sorted(file.name for file in (folder / "KMNIST" / "raw").iterdir()) == sorted(FILES)
    assert [file for file in folder.iterdir() if file.name.startswith(".download")] == []


def test_a_damaged_download_leaves_nothing_that_looks_like_data(
    mirror: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [(name, "0" * 32) for name, _ in datasets.KMNIST.resources]
    monkeypatch.setattr(datasets.KMNIST, "resources", wrong)
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        load_dataset("kmnist", folder=tmp_path / "volume")
    assert list((tmp_path / "volume").rglob("*ubyte*")) == []


def test_digits_need_no_folder_and_are_always_the_same(digits: Dataset) -> None:
    assert (digits.train_images.shape, digits.test_images.shape) == ((1437, 28, 28), (360, 28, 28))
    assert (digits.train_images.dtype, digits.train_labels.dtype) == (torch.uint8, torch.int64)
    assert digits.sha256 == "fb6d0a12f2e0e2d30dc2d4fc2b03c4f6802b55b9e73ebd85b7cbafd6b163e2ef"
    assert digits.train_labels.bincount().min() > 120
    assert digits.test_labels.bincount().min() > 20
    pixels = digits.train_images.double() / 255
    assert pixels.mean().item() == pytest.approx(digits.mean, abs=1e-4)
    assert pixels.std().item() == pytest.approx(digits.std, abs=1e-4)


def test_digits_are_scaled_up_as_torch_would() -> None:
    images = torch.randint(0, 17, (20, 8, 8))
    expected = torch.nn.functional.interpolate(images[:, None].double() * 255 / 16, size=28, mode="bilinear")
    found = torch.from_numpy(enlarged(images.numpy())).double()
    assert (found - expected[:, 0]).abs().max() <= 0.5 + 1e-9


def test_real_mnist_is_what_torchvision_reads(mnist: Dataset) -> None:
    root = os.environ["MNIST_DATA_DIR"]
    train, test = datasets.MNIST(root, train=True), datasets.MNIST(root, train=False)
    assert torch.equal(mnist.train_images, train.data)
    assert torch.equal(mnist.train_labels, train.targets)
    assert torch.equal(mnist.test_images, test.data)
    assert torch.equal(mnist.test_labels, test.targets)
    assert (mnist.train_images.double() / 255).mean().item() == pytest.approx(mnist.mean, abs=5e-5)
