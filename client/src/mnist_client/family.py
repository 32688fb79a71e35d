"""Which runs came of which: the tree around a run, from the first one on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnist_shared.contracts.requests import OnTarget, ResumeRequest
from mnist_shared.contracts.runs import RunRecord

if TYPE_CHECKING:
    from mnist_shared.storage.runs import RunStore

MAX_ANCESTORS = 100
MAX_KIN = 60  # in one tree; what is beyond is counted


@dataclass
class Kin:
    """A run and what came of it; `record` is None where the broker knows the run no more."""

    run_id: str
    record: RunRecord | None
    children: "list[Kin]" = field(default_factory=list)
    num_hidden: int = 0  # children that are left out


def parent_of(record: RunRecord) -> str | None:
    """The run that this one goes on from, is made of, or repeats."""
    if isinstance(record.request, ResumeRequest):
        return record.request.parent
    if isinstance(record.request, OnTarget) and record.request.target is not None:
        return record.request.target
    return record.options.retry_of


def ancestors(store: "RunStore", record: RunRecord) -> list[Kin]:
    """The runs that `record` came of, the nearest first; the last one may be one that is not known any more."""
    from mnist_shared.storage.serving import read_records

    found: list[Kin] = []
    parent = parent_of(record)
    while parent is not None and len(found) < MAX_ANCESTORS:
        known = read_records(store, [parent]).get(parent)
        found.append(Kin(parent, known))
        parent = parent_of(known) if known is not None else None
    return found


def family_of(store: "RunStore", record: RunRecord) -> Kin:
    """The whole tree that `record` stands in, from its oldest ancestor; one round trip a generation."""
    above = ancestors(store, record)
    root = above[-1] if above else Kin(record.id, record)
    if root.record is None:  # its children are not to be had
        child = above[-2] if len(above) > 1 else Kin(record.id, record)
        root.children = [child]
        _add_children(store, child, must_have=record.id)
    else:
        _add_children(store, root, must_have=record.id)
    return root


def _add_children(store: "RunStore", root: Kin, *, must_have: str) -> None:
    from mnist_shared.storage.serving import read_records

    generation, num_kin = [root], 1
    while generation:
        ids = {kin.run_id: store.children(kin.run_id) for kin in generation}
        records = read_records(store, [child for children in ids.values() for child in children])
        following = []
        for kin in generation:
            known = sorted((records[c] for c in ids[kin.run_id] if c in records), key=lambda one: one.submitted_at)
            for child in known:
                if num_kin >= MAX_KIN and child.id != must_have:
                    kin.num_hidden += 1
                    continue
                kin.children.append(Kin(child.id, child))
                num_kin += 1
            following += kin.children
        generation = following
