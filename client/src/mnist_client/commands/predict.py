"""`predict`: which digits do pictures show."""

import json as json_text
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_client import exits, options
from mnist_client.completion import complete_runs
from mnist_client.context import CommandContext, context_of

if TYPE_CHECKING:
    from mnist_client.asking import Answer
    from mnist_client.pictures import Picture

BOXES = {"mnist": 20}  # pixels that the digit is scaled to; other sets' pictures fill the field
MAX_SHOWN = 3  # pictures, on a terminal, where nobody said anything


def predict(
    ctx: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE", help="A picture (PNG, JPEG, BMP, ...), a folder of them, a pattern, or - for stdin."
        ),
    ],
    run: Annotated[
        str,
        typer.Option(
            "--run", metavar="RUN", help=options.TRAINING_HELP, show_default=False, autocompletion=complete_runs
        ),
    ] = "last",
    checkpoint: options.Checkpoint = "last",
    preprocess: Annotated[
        bool,
        typer.Option(
            "--preprocess/--no-preprocess",
            help="Make them what the network was trained on: cropped, scaled, centred, white on black. "
            "[default: preprocess]",
            show_default=False,
        ),
    ] = True,
    show: Annotated[
        bool | None,
        typer.Option(
            "--show/--no-show", help="Show on stderr what the network saw. [default: up to 3 pictures, on a terminal]"
        ),
    ] = None,
    json: options.Json = False,
) -> int:
    """Ask a trained network which digits pictures show.

    Prints each one's answer with its probability, and the next best. A picture that cannot be read, or is blank, is an
    error of its own; the others are answered, and the exit code is 1. With --json one object a picture, with all
    probabilities. Needs mnist-client[predict].

    \b
    Example:
      mnist-client predict seven.png
      mnist-client predict scans/ --run brisk-otter --json
      cat seven.png | mnist-client predict - --show
    """
    from mnist_client.asking import ask
    from mnist_client.lineage import find_training_run
    from mnist_client.pictures import SIDE, find_pictures, read_pictures
    from mnist_client.sending import tell
    from mnist_client.staying import ended_record
    from mnist_client.targets import check_has_checkpoint, which_of

    context, which = context_of(ctx, json=json), which_of(checkpoint)
    names = find_pictures(images)
    target = find_training_run(context.store, run)
    check_has_checkpoint(target, which)
    box = BOXES.get(target.request.config.dataset, SIDE) if preprocess else None
    pictures = list(read_pictures(names, box=box))
    for picture in pictures:
        if picture.field is None:
            context.output.error(f"{picture.source}: {picture.problem}.")
    fields = [picture.field.tobytes() for picture in pictures if picture.field is not None]
    asked = ask(context.store, target, fields, checkpoint=which)
    if asked.sent:
        more = f", and {len(asked.sent) - 1} more," if len(asked.sent) > 1 else ""
        tell(context, asked.sent[0], what=f"asking run {target.id} as {{}}{more}")
    answers = asked.answers(lambda run_id: ended_record(context, run_id))
    if context.json:
        for document in _documents(pictures, answers):
            context.output.data(json_text.dumps(document))
    else:
        _print(context, [one for one in pictures if one.field is not None], list(answers), show=show)
    return exits.OK if all(picture.field is not None for picture in pictures) else exits.TROUBLE


def _documents(pictures: "Sequence[Picture]", answers: "Iterator[Answer]") -> Iterator[dict[str, Any]]:
    for picture in pictures:
        if picture.field is None:
            yield {"picture": picture.source, "error": picture.problem}
            continue
        one = next(answers)
        yield {
            "picture": picture.source,
            "answer": one.answer,
            "probability": one.probability,
            "probabilities": one.by_class,
            "run": one.target,
            "checkpoint": one.checkpoint,
            "prediction": one.run_id,
        }


def _print(
    context: CommandContext, pictures: "Sequence[Picture]", answers: "Sequence[Answer]", *, show: bool | None
) -> None:
    from mnist_client.rendering.answers import answer_lines
    from mnist_client.rendering.pixels import pixel_lines

    if show is None:
        show = len(pictures) <= MAX_SHOWN and sys.stderr.isatty() and not context.quiet
    seen = context.output.paper(sys.stderr)
    lines = answer_lines([one.source for one in pictures], answers, context.output.paper(sys.stdout))
    for picture, line in zip(pictures, lines, strict=True):
        if show and picture.field is not None:
            pixels, width = picture.field.tobytes(), picture.field.width
            rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
            print("\n".join(pixel_lines(rows, seen)), file=sys.stderr, flush=True)
        context.output.data(line)
