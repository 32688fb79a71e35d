"""Records made again from the volume, and records forgotten."""

import json
from pathlib import Path

import pytest

from mnist_shared.contracts.runs import RunFile, RunState, SubmitOptions
from mnist_shared.errors import LeaseLost, RunNotFound, VolumeError
from mnist_shared.storage.archive import write_events
from mnist_shared.storage.events import EventLog
from mnist_shared.storage.reindex import reindex
from mnist_shared.storage.runs import Grant, RunStore
from mnist_shared.volume.run_folder import RunFolder
from tests.shared.storage.conftest import TRAIN, types
from tests.shared.storage.test_runs import PROGRESS, RESULT, checkpoint, epoch


def begin(store: RunStore, runs_dir: Path, *, options: SubmitOptions | None = None) -> Grant:
    """A run as a worker begins it: claimed, with its run.json."""
    grant = store.claim(store.submit(TRAIN, options=options).run_id, worker="w")
    assert grant
    folder = RunFolder(runs_dir, grant.run_id)
    folder.checkpoints.mkdir(parents=True)
    run_file = RunFile(id=grant.run_id, request=TRAIN, options=grant.options, num_threads=1, device="cpu", versions={})
    folder.run_file.write_text(run_file.model_dump_json())
    return grant


def end(store: RunStore, grant: Grant, runs_dir: Path) -> None:
    """As a worker ends it: the last event on the volume first, then in Redis."""
    from mnist_shared.contracts.events import CheckpointSaved, Finished

    store.append(grant, epoch(1), sequence=1, progress=PROGRESS)
    store.append(grant, CheckpointSaved(checkpoint=checkpoint()), sequence=2, checkpoint=checkpoint())
    last = Finished(state=RunState.SUCCEEDED, result=RESULT)
    write_events(RunFolder(runs_dir, grant.run_id), EventLog(store.redis).replay(grant.run_id), last, attempt=1)
    store.finish(grant, last)


def test_finished_work_survives_the_loss_of_everything_in_redis(store: RunStore, log: EventLog, tmp_path: Path) -> None:
    grant = begin(store, tmp_path)
    end(store, grant, tmp_path)
    before, told = store.get(grant.run_id), types(log, grant.run_id)
    store.redis.flushall()
    assert reindex(store, tmp_path).restored == [grant.run_id]
    after = store.get(grant.run_id)
    assert (after.state, after.result, after.request, after.checkpoint) == (
        RunState.SUCCEEDED,
        before.result,
        before.request,
        before.checkpoint,
    )
    assert after.submitted_at == before.submitted_at
    assert types(log, grant.run_id) == told
    assert store.resolve("last") == grant.run_id
    assert store.redis.llen(store.keys.messages("normal")) == 0
    assert reindex(store, tmp_path).known == [grant.run_id]


def test_unfinished_work_is_queued_again_beyond_the_reach_of_its_old_owner(store: RunStore, tmp_path: Path) -> None:
    stale = begin(store, tmp_path)
    (RunFolder(tmp_path, stale.run_id).checkpoints / "epoch-0001-batch-00000-a0007.json").touch()
    store.redis.flushall()
    assert reindex(store, tmp_path).requeued == [stale.run_id]
    with pytest.raises(LeaseLost):
        store.renew(stale)
    grant = store.claim(stale.run_id, worker="v")
    assert grant
    assert grant.attempt == 8  # its files come after those of attempt 7
    assert store.redis.llen(store.keys.messages("normal")) == 1


def test_what_was_said_about_a_run_comes_back_with_it(store: RunStore, tmp_path: Path) -> None:
    parent = begin(store, tmp_path)
    end(store, parent, tmp_path)
    options = SubmitOptions(tags=("a", "b"), priority="high", retry_of=parent.run_id, fingerprint="f" * 64)
    grant = begin(store, tmp_path, options=options)
    end(store, grant, tmp_path)
    unfinished = begin(store, tmp_path, options=SubmitOptions(name="baseline", priority="low"))
    store.redis.flushall()
    other = store.submit(TRAIN, options=SubmitOptions(name="baseline"))
    reindex(store, tmp_path)
    assert store.get(grant.run_id).options == grant.options
    assert store.resolve(grant.options.name or "") == grant.run_id
    assert [record.id for record in store.search(tags={"b"}, count=5)] == [grant.run_id]
    assert store.find_succeeded("f" * 64) == grant.run_id
    assert store.children(parent.run_id) == [grant.run_id]
    assert store.get(unfinished.run_id).options.name == "baseline-2"  # its own is another's now
    assert (store.position(other.run_id), store.position(unfinished.run_id)) == (0, 1)


def test_what_is_no_run_folder_is_passed_over_or_named(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    empty, damaged, alien = (tmp_path / name for name in ("0" * 12, "1" * 12, "2" * 12))
    for folder in (empty, damaged, alien):
        folder.mkdir()
    (damaged / "run.json").write_text("{")
    run_file = RunFile(id="3" * 12, request=TRAIN, num_threads=1, device="cpu", versions={})
    (alien / "run.json").write_text(run_file.model_dump_json())
    found = reindex(store, tmp_path)
    assert set(found.unreadable) == {"0" * 12, "1" * 12, "2" * 12}
    assert store.count() == 0


def test_a_cut_off_event_file_names_its_run(store: RunStore, tmp_path: Path) -> None:
    grant = begin(store, tmp_path)
    end(store, grant, tmp_path)
    file = RunFolder(tmp_path, grant.run_id).events_file
    file.write_text(file.read_text()[:-20])
    store.redis.flushall()
    assert list(reindex(store, tmp_path).unreadable) == [grant.run_id]


def test_a_volume_out_of_reach_is_a_clear_error(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="cannot be read"):
        reindex(store, tmp_path / "nowhere")


def test_only_runs_that_ended_long_ago_are_forgotten(store: RunStore, tmp_path: Path) -> None:
    old, young, living = (begin(store, tmp_path) for _ in range(3))
    for grant in (old, young):
        end(store, grant, tmp_path)
    keys = store.keys
    for grant in (old, living):
        store.redis.zadd(keys.runs, {grant.run_id: 1})
    store.redis.hset(keys.run(old.run_id), "finished_ms", 1)
    assert store.prune(keep_days=1) == [old.run_id]
    with pytest.raises(RunNotFound):
        store.get(old.run_id)
    assert not [key for key in store.redis.keys("*") if old.run_id in key]
    assert {store.get(grant.run_id).state for grant in (young, living)} == {RunState.SUCCEEDED, RunState.RUNNING}
    assert RunFolder(tmp_path, old.run_id).events_file.exists()
    assert json.loads(RunFolder(tmp_path, old.run_id).run_file.read_text())["id"] == old.run_id
    assert reindex(store, tmp_path).restored == [old.run_id]
