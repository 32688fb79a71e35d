"""`checkpoints`: what is listed, what is copied, what is removed, and above all what is not."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_client.volume.collecting import carry_out, plan
from mnist_client.volume.sight import RunFolder
from mnist_shared.contracts.runs import RunState
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import Cli
from tests.client.owner import Owner
from tests.client.volume_files import damage, run_folder, write_checkpoint


@pytest.fixture
def trained(owned: Callable[..., Owner], tmp_path: Path) -> RunFolder:
    """A finished run of three epochs with all its checkpoints; the second is the best."""
    folder = run_folder(tmp_path, owned(epochs=3).train())
    write_checkpoint(folder, epoch=1)
    write_checkpoint(folder, epoch=2, best=True)
    write_checkpoint(folder, epoch=2, batch=120)
    write_checkpoint(folder, epoch=3, attempt=2)
    return folder


def files_of(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.checkpoints.glob("*.pt"))


def test_list_shows_each_checkpoint_with_its_marks(cli: Cli, trained: RunFolder) -> None:
    done = cli("checkpoints", "list")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["FILE", "EPOCH", "BATCH", "ATTEMPT", "ACCURACY", "SIZE", "AGE"]
    assert rows[1][:4] == ["epoch-0003-batch-00000-a0002.pt", "3", "2", "99.03%"]
    assert rows[1][-1] == "last"
    assert rows[2][:4] == ["epoch-0002-batch-00120-a0001.pt", "2", "120", "1"]  # nobody has measured it
    assert (rows[3][0], rows[3][-1]) == ("epoch-0002-batch-00000-a0001-best.pt", "best")
    assert len(rows) == 5
    documents = json.loads(cli("checkpoints", "list", trained.run_id, "--json").stdout)
    assert [(one["epoch"], one["is_last"], one["is_best"]) for one in documents] == [
        (3, True, False),
        (2, False, False),
        (2, False, True),
        (1, False, False),
    ]
    assert documents[0]["test_accuracy"] == 0.9903


def test_list_verifies_every_byte_where_asked(cli: Cli, trained: RunFolder) -> None:
    newest = write_checkpoint(trained, epoch=3, batch=7, attempt=3)
    damage(trained, newest)
    assert "damaged" not in cli("checkpoints", "list").stdout
    lines = cli("checkpoints", "list", "--verify").stdout.splitlines()
    assert "damaged: its SHA-256 is not the one in its manifest" in lines[1]
    assert lines[2].endswith("last")
    (trained.checkpoints / newest.file).unlink()
    assert f"damaged: {newest.file} is missing" in cli("checkpoints", "list").stdout


def test_list_of_all_is_a_line_a_run(cli: Cli, trained: RunFolder, tmp_path: Path) -> None:
    gone = run_folder(tmp_path, "0123456789ab")
    write_checkpoint(gone, epoch=1, days_old=3)
    first, second = cli("checkpoints", "list", "--all").stdout.splitlines()[1:]
    assert first.split()[0] == trained.run_id
    assert first.split()[2:4] == ["succeeded", "4"]
    assert second.split()[:4] == ["0123456789ab", "no", "record", "1"]
    documents = json.loads(cli("checkpoints", "list", "--all", "--json").stdout)
    assert [(one["state"], one["num_checkpoints"]) for one in documents] == [("succeeded", 4), (None, 1)]


def test_a_run_whose_record_is_gone_is_found_by_its_folder(cli: Cli, tmp_path: Path) -> None:
    write_checkpoint(run_folder(tmp_path, "0123456789ab"), epoch=1)
    assert "epoch-0001" in cli("checkpoints", "list", "01234").stdout
    assert cli("checkpoints", "list", "0fff").returncode == 102
    run_folder(tmp_path, "0123456789ff")
    done = cli("checkpoints", "list", "01234")
    assert done.returncode == 2
    assert "Several folders" in done.stderr


@pytest.mark.parametrize(
    ("which", "file"),
    [
        ("last", "epoch-0003-batch-00000-a0002.pt"),
        ("best", "epoch-0002-batch-00000-a0001-best.pt"),
        ("1", "epoch-0001-batch-00000-a0001.pt"),
    ],
)
def test_pull_copies_one_and_prints_where(cli: Cli, trained: RunFolder, tmp_path: Path, which: str, file: str) -> None:
    done = cli("checkpoints", "pull", "--which", which, "--output", str(tmp_path / "models"))
    copy = tmp_path / "models" / f"{trained.run_id}-{file}"
    assert (done.returncode, done.stdout) == (0, f"{copy}\n")
    assert copy.read_bytes() == (trained.checkpoints / file).read_bytes()
    assert os.listdir(copy.parent) == [copy.name]  # nothing temporary is left


def test_pull_replaces_nothing_unless_forced(cli: Cli, trained: RunFolder, tmp_path: Path) -> None:
    arguments = ("checkpoints", "pull", "--output", str(tmp_path), "--json")
    document = json.loads(cli(*arguments).stdout)
    copy = Path(document["path"])
    assert document["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    copy.write_text("mine")
    done = cli(*arguments)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert copy.read_text() == "mine"
    assert cli(*arguments, "--force").returncode == 0
    assert copy.read_text() != "mine"


def test_pull_hands_out_nothing_that_is_damaged(cli: Cli, trained: RunFolder, tmp_path: Path) -> None:
    newest = write_checkpoint(trained, epoch=3, batch=7, attempt=3)
    damage(trained, newest)
    done = cli("checkpoints", "pull", "--output", str(tmp_path / "models"))
    assert done.returncode == 2
    assert "SHA-256" in done.stderr
    assert os.listdir(tmp_path / "models") == []
    (trained.checkpoints / newest.file).write_bytes(b"cut")  # another size: it is not the last usable one
    assert "epoch-0003-batch-00000" in cli("checkpoints", "pull", "--output", str(tmp_path / "models")).stdout


def test_pull_says_which_there_are(cli: Cli, trained: RunFolder, owned: Callable[..., Owner], tmp_path: Path) -> None:
    done = cli("checkpoints", "pull", "--which", "7")
    assert done.returncode == 2
    assert "there are those of 1, 2, 3" in done.stderr
    assert cli("checkpoints", "pull", "--which", "newest").returncode == 2
    write_checkpoint(run_folder(tmp_path, owned(epochs=1).train()), epoch=1)
    done = cli("checkpoints", "pull", "--which", "best")
    assert done.returncode == 2
    assert "--validation-size" in done.stderr


def test_gc_keeps_the_last_usable_one_and_the_best(cli: Cli, trained: RunFolder) -> None:
    before = files_of(trained)
    dry = cli("checkpoints", "gc", "--dry-run")
    assert dry.returncode == 0
    assert "2 checkpoints, would free" in dry.stdout
    assert files_of(trained) == before
    unasked = cli("checkpoints", "gc")
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    assert files_of(trained) == before
    done = cli("checkpoints", "gc", "--yes", "--json")
    document = json.loads(done.stdout)
    assert document["removed"]
    assert document["runs"][0]["num_kept"] == 2
    assert files_of(trained) == ["epoch-0002-batch-00000-a0001-best.pt", "epoch-0003-batch-00000-a0002.pt"]
    assert "nothing to remove" in cli("checkpoints", "gc", "--yes").stderr


def test_gc_asks_at_a_terminal(cli: Cli, trained: RunFolder) -> None:
    for answer, left in (("n", 4), ("y", 2)):
        terminal = cli.terminal("checkpoints", "gc", trained.run_id)
        terminal.read_until("[y/N]")
        terminal.type(f"{answer}\n")
        assert terminal.finish() == 0
        assert len(files_of(trained)) == left


def test_gc_of_everything_takes_a_word_of_its_own(cli: Cli, trained: RunFolder) -> None:
    for wrong in (("--keep", "0"), ("--keep", "1", "--all")):
        assert cli("checkpoints", "gc", *wrong, "--yes").returncode == 2
    assert len(files_of(trained)) == 4
    assert cli("checkpoints", "gc", "--all", "--yes").returncode == 0
    assert files_of(trained) == []


def test_gc_leaves_alone_what_is_running_or_still_needed(
    cli: Cli, trained: RunFolder, owned: Callable[..., Owner], tmp_path: Path
) -> None:
    running = run_folder(tmp_path, owned().run_id)
    for epoch in (1, 2):
        write_checkpoint(running, epoch=epoch)
    assert running.run_id not in cli("checkpoints", "gc", "--dry-run").stdout
    done = cli("checkpoints", "gc", running.run_id, "--yes")
    assert done.returncode == 101
    assert "still needed: it is running" in done.stderr
    cli("submit", "resume", trained.run_id, "--epochs", "5")
    assert trained.run_id not in cli("checkpoints", "gc", "--all", "--dry-run").stdout
    assert trained.run_id in cli("checkpoints", "gc", "--dry-run").stdout  # its last one stays anyway


def test_gc_without_the_volume_says_so(cli: Cli, owned: Callable[..., Owner]) -> None:
    owned().train()
    done = cli("checkpoints", "gc", "--dry-run")
    assert done.returncode == 1
    assert "--storage" in done.stderr


def test_a_damaged_newest_one_does_not_count_as_usable(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "0123456789ab")
    for epoch in (1, 2):
        write_checkpoint(folder, epoch=epoch)
    damage(folder, write_checkpoint(folder, epoch=3))
    collection = plan(folder, keep=1)
    assert sorted(file.name.epoch for file in collection.doomed) == [1, 3]
    assert carry_out(collection) == []
    assert files_of(folder) == ["epoch-0002-batch-00000-a0001.pt"]


def test_where_nothing_can_be_used_nothing_is_removed(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "0123456789ab")
    for epoch in (1, 2):
        damage(folder, write_checkpoint(folder, epoch=epoch))
    assert plan(folder, keep=1).is_empty
    assert len(plan(folder, keep=0).doomed) == 2


def test_only_what_is_old_goes_where_an_age_is_given(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "0123456789ab")
    for epoch, days in ((1, 40), (2, 20), (3, 10)):
        write_checkpoint(folder, epoch=epoch, days_old=days)
    assert [file.name.epoch for file in plan(folder, keep=1, older_than_seconds=30 * 86_400).doomed] == [1]
    assert [file.name.epoch for file in plan(folder, keep=2).doomed] == [1]


def test_what_killed_workers_left_half_written_goes_after_an_hour(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "0123456789ab")
    write_checkpoint(folder, epoch=1)
    old, new = folder.checkpoints / "x.pt.a0001.tmp", folder.checkpoints / "y.pt.a0001.tmp"
    orphan = folder.checkpoints / "epoch-0002-batch-00000-a0001.pt"
    for path in (old, new, orphan):
        path.write_bytes(b"half")
    for path in (old, orphan):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    collection = plan(folder, keep=1)
    assert sorted(collection.leftovers) == sorted([old, orphan])
    assert collection.num_bytes == 8
    carry_out(collection)
    assert new.exists()
    assert not orphan.exists()


def test_the_run_goes_on_being_what_it_was(cli: Cli, store: RunStore, trained: RunFolder) -> None:
    cli("checkpoints", "gc", "--all", "--yes")
    assert store.get(trained.run_id).state is RunState.SUCCEEDED
