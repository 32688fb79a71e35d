"""Checkpoints as tables: those of one run, all runs' together, and what a collection removes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mnist_client.rendering.output import Paper
from mnist_client.rendering.palette import BAD, GOOD
from mnist_client.rendering.rows import row_lines
from mnist_client.rendering.table import Cell, Column
from mnist_client.rendering.wording import age, num_bytes, percent, plural
from mnist_client.volume.checkpoint_files import CheckpointFile, best_of, newest_usable
from mnist_client.volume.collecting import Collection
from mnist_client.volume.overview import LONG_AGO, RunSummary


def file_lines(
    files: Sequence[CheckpointFile],
    *,
    accuracies: Mapping[int, float],
    now: datetime,
    paper: Paper,
) -> list[str]:
    """One row a checkpoint. `accuracies`: on the test set, by epoch, where known."""
    last, best = newest_usable(list(files)), best_of(list(files))
    marks = [_mark(file, last=last, best=best) for file in files]
    columns = [
        Column("FILE", [Cell(file.name.file) for file in files], importance=6),
        Column("EPOCH", [Cell(str(file.name.epoch)) for file in files], importance=9, right=True),
        Column("BATCH", [Cell(str(file.name.batch or "")) for file in files], importance=4, right=True),
        Column("ATTEMPT", [Cell(str(file.name.attempt)) for file in files], importance=2, right=True),
        Column("ACCURACY", [Cell(_accuracy(file, accuracies)) for file in files], importance=5, right=True),
        Column("SIZE", [Cell(num_bytes(file.num_bytes)) for file in files], importance=3, right=True),
        Column("AGE", [Cell(_age(file.written_at, now=now)) for file in files], importance=7, right=True),
        Column("", marks, importance=8),
    ]
    return row_lines(columns, paper=paper)


def summary_lines(runs: Sequence[RunSummary], *, now: datetime, paper: Paper) -> list[str]:
    """One row a run."""
    columns = [
        Column("RUN", [Cell(run.run_id) for run in runs], importance=9),
        Column("NAME", [Cell(run.name) for run in runs], importance=5),
        Column("STATE", [Cell(run.state or "no record", dim=not run.state) for run in runs], importance=6),
        Column("CHECKPOINTS", [Cell(str(len(run.files))) for run in runs], importance=7, right=True),
        Column("SIZE", [Cell(num_bytes(run.num_bytes)) for run in runs], importance=8, right=True),
        Column("NEWEST", [Cell(_age(run.written_at, now=now)) for run in runs], importance=4, right=True),
    ]
    return row_lines(columns, paper=paper)


def collection_line(collection: Collection, *, done: bool) -> str:
    """What is, or was, removed of one run."""
    parts = []
    if collection.doomed:
        parts.append(plural(len(collection.doomed), "checkpoint"))
    if collection.leftovers:
        parts.append(plural(len(collection.leftovers), "unfinished file"))
    freed = f"{'freed' if done else 'would free'} {num_bytes(collection.num_bytes)}"
    return f"{collection.run_id}  {' and '.join(parts)}, {freed}; {plural(collection.num_kept, 'checkpoint')} kept"


def file_document(file: CheckpointFile, *, accuracies: Mapping[int, float], files: list[CheckpointFile]) -> Any:
    """One checkpoint as JSON."""
    return {
        "file": file.name.file,
        "path": str(file.path),
        "epoch": file.name.epoch,
        "batch": file.name.batch,
        "attempt": file.name.attempt,
        "num_bytes": file.num_bytes,
        "sha256": file.ref.sha256 if file.ref else None,
        "written_at": file.written_at.isoformat() if file.written_at else None,
        "is_last": file is newest_usable(files),
        "is_best": file is best_of(files),
        "test_accuracy": None if file.name.batch else accuracies.get(file.name.epoch),
        "problem": file.problem,
    }


def summary_document(run: RunSummary) -> Any:
    """What one run keeps, as JSON."""
    return {
        "id": run.run_id,
        "name": run.name or None,
        "state": run.state or None,
        "num_checkpoints": len(run.files),
        "num_damaged": sum(file.problem is not None for file in run.files),
        "num_bytes": run.num_bytes,
    }


def collection_document(collection: Collection) -> Any:
    """What is removed of one run, as JSON."""
    return {
        "id": collection.run_id,
        "files": [file.name.file for file in collection.doomed],
        "leftovers": [path.name for path in collection.leftovers],
        "num_bytes": collection.num_bytes,
        "num_kept": collection.num_kept,
    }


def _mark(file: CheckpointFile, *, last: CheckpointFile | None, best: CheckpointFile | None) -> Cell:
    if file.problem is not None:
        return Cell(f"damaged: {file.problem}", fg=BAD)
    words = [word for word, found in (("last", last), ("best", best)) if found is file]
    return Cell(", ".join(words), fg=GOOD, bold=True)


def _accuracy(file: CheckpointFile, accuracies: Mapping[int, float]) -> str:
    """Of a checkpoint that stands between two epochs: nobody has measured the others."""
    known = accuracies.get(file.name.epoch)
    return "" if known is None or file.name.batch else percent(known)


def _age(moment: datetime | None, *, now: datetime) -> str:
    return age((now - moment).total_seconds()) if moment is not None and moment != LONG_AGO else ""
