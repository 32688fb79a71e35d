"""What the network said to pictures, a line each."""

from collections.abc import Sequence

from mnist_client.asking import Answer
from mnist_client.rendering import palette
from mnist_client.rendering.output import Paper, one_line
from mnist_client.rendering.table import cell_width
from mnist_client.rendering.wording import percent

MAX_NAME = 60  # columns
ROOM = 32  # columns, of what comes after the name
DOUBTFUL = 0.5  # below this it is a guess


def answer_lines(names: Sequence[str], answers: Sequence[Answer], paper: Paper) -> list[str]:
    """File, answer, probability, and the next best: seven.png  7   99.98%  else 1   0.01%."""
    room = MAX_NAME if paper.width is None else max(min(MAX_NAME, paper.width - ROOM), 8)
    if paper.width is None:
        shown = [one_line(name) for name in names]
    else:
        shown = [_tail(one_line(name), room, ellipsis=paper.ellipsis) for name in names]
    width = max(map(cell_width, shown), default=0)
    widest = max((len(name) for answer in answers for name in answer.by_class), default=0)
    lines = []
    for name, one in zip(shown, answers, strict=True):
        fg = palette.NOTICE if one.probability < DOUBTFUL else None
        line = f"{name}{' ' * (width - cell_width(name))}  {paper.paint(one.answer.ljust(widest), bold=True, fg=fg)}"
        line += f"  {percent(one.probability):>7}"
        if one.next_best is not None:
            other, share = one.next_best
            line += f"  else {other.ljust(widest)}  {percent(share):>7}"
        lines.append(line)
    return lines


def _tail(path: str, width: int, *, ellipsis: str) -> str:
    """The end of a path that is too long: there its name is."""
    if cell_width(path) <= width:
        return path
    kept = path
    while kept and cell_width(kept) > width - len(ellipsis):
        kept = kept[1:]
    return ellipsis + kept
