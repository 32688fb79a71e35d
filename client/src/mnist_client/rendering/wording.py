"""Numbers, times and states in words: the same everywhere."""

from datetime import datetime

from mnist_shared.contracts.reports import Normalisation
from mnist_shared.contracts.requests import (
    EvaluateRequest,
    ExportRequest,
    ModelFile,
    PredictRequest,
    Request,
    ResumeRequest,
    VerifyRequest,
    Which,
)
from mnist_shared.contracts.runs import (
    EpochMetrics,
    EvaluatedFile,
    EvaluateResult,
    ExportResult,
    PredictResult,
    RunError,
    RunResult,
    TrainResult,
    VerifyResult,
)

MANY_ANSWERS = 10  # of a prediction; more are counted


def age(seconds: float) -> str:
    """How long ago, in one unit: 12s, 3m, 5h, 2d. A clock that is a little ahead makes nothing negative."""
    seconds = max(0, int(seconds))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def duration(seconds: float) -> str:
    """How long: 0.4 s, 54.7 s, 12 min 3 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def brief(seconds: float) -> str:
    """How long, for a narrow column: 41s, 3m20s, 1h05m, 2d03h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02}s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes // 1_440}d{minutes % 1_440 // 60:02}h"


def clock(seconds: float) -> str:
    """What is left: 0:41, 12:03, 1:05:00."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def when(moment: datetime, *, now: datetime) -> str:
    """A time, how long ago and in the zone of whoever looks."""
    return f"{age((now - moment).total_seconds())} ago ({moment.astimezone():%Y-%m-%d %H:%M:%S})"


def num_bytes(count: int) -> str:
    """A size as disks are sold: 14.4 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def plural(count: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"


def queue_place(position: int) -> str:
    """Where a queued run stands."""
    return "next in the queue" if position == 0 else f"{plural(position, 'run')} before it"


def place_in_training(epoch: int, batch: int, num_batches: int | None) -> str:
    """After so many finished epochs and batches of the next one: epoch 3, batch 120 (step 1996)."""
    if not batch:
        return f"the end of epoch {epoch}" if epoch else "the start"
    step = f" (step {epoch * num_batches + batch:,})" if num_batches else ""
    return f"epoch {epoch + 1}, batch {batch}{step}"


def request_title(request: Request) -> str:
    """What was asked for, in a line."""
    config = request.config
    match request:
        case EvaluateRequest(file=ModelFile() as file):
            return f"evaluate the model file {file.name}{'' if request.as_trained else f' on {config.dataset}'}"
        case EvaluateRequest():
            return f"evaluate run {request.target}{_which(request.checkpoint)} on {config.dataset}"
        case ExportRequest():
            return f"export run {request.target}{_which(request.checkpoint)} as {request.file_format}"
        case PredictRequest():
            return (
                f"predict {plural(request.num_pictures, 'picture')} by run {request.target}{_which(request.checkpoint)}"
            )
        case VerifyRequest():
            return f"verify run {request.target}: train it again, {plural(config.epochs, 'epoch')}"
        case _:
            pass
    what = f"train on {config.dataset}, {plural(config.epochs, 'epoch')}, batch size {config.batch_size}"
    if isinstance(request, ResumeRequest):
        what = f"resume run {request.parent} on {config.dataset}, to {plural(config.epochs, 'epoch')}"
    return f"{what}, dry run" if config.dry_run else what


def _which(checkpoint: Which) -> str:
    if checkpoint == "last":
        return ""
    return f" ({'best checkpoint' if checkpoint == 'best' else f'epoch {checkpoint}'})"


def evaluation(result: EvaluateResult) -> str:
    """The accuracy with its interval and, of a worker that tells it, the expected calibration error."""
    accuracy, calibration = percent(result.accuracy), ""
    if (report := result.report) is not None:
        interval = report.interval
        accuracy += f", {100 * interval.level:.0f}% interval {percent(interval.low)} to {percent(interval.high)}"
        calibration = f"calibration error {percent(report.calibration.expected_error)}, "
    return (
        f"accuracy {result.correct}/{result.total} ({accuracy}), "
        f"average loss {result.average_loss:.4f}, {calibration}{result.seconds:.1f} s"
    )


def normalised_as(normalisation: Normalisation) -> str:
    """What a network's input was made by: mnist: (pixel / 255 - 0.1307) / 0.3081."""
    rule = f"(pixel / 255 - {normalisation.mean:.6g}) / {normalisation.std:.6g}"
    return f"{normalisation.dataset or 'the file says'}: {rule}"


def model_file(file: EvaluatedFile) -> str:
    """What a model file was found to be: safetensors, 155.2 kB, compact network, of run 1f36d9ea28e9, epoch 3."""
    facts = [
        file.file_format,
        num_bytes(file.num_bytes),
        f"{file.network} network" if file.network else "",
        f"of run {file.run}" if file.run else "",
        f"epoch {file.epoch}" if file.epoch is not None else "",
    ]
    return ", ".join(fact for fact in facts if fact)


def outcome(result: RunResult) -> str:
    """A result in a line."""
    match result:
        case EvaluateResult():
            return evaluation(result)
        case ExportResult():
            size, difference = num_bytes(result.num_bytes), result.max_difference
            return f"{result.file_format}, {size}, largest difference {difference:.1g}"
        case PredictResult():
            return prediction(result)
        case VerifyResult():
            return verdict(result)
        case TrainResult(dry_run=True):
            return "dry run, one batch; nothing was saved"
        case TrainResult():
            return (
                f"accuracy {result.test_correct}/{result.test_total} ({percent(result.test_accuracy)}), "
                f"average loss {result.test_loss:.4f}, {plural(result.epochs, 'epoch')} in {duration(result.seconds)}"
            )


def prediction(result: PredictResult) -> str:
    """The answers, where they are few: 3 pictures: 7, 2, 1."""
    answers = [one.answer for one in result.predictions]
    shown = ", ".join(answers[:MANY_ANSWERS]) + (", ..." if len(answers) > MANY_ANSWERS else "")
    return f"{plural(len(answers), 'picture')}: {shown}"


def verdict(result: VerifyResult) -> str:
    """Whether training again came to the same weights."""
    took = f"{plural(result.epochs, 'epoch')} in {duration(result.seconds)}"
    if result.identical:
        return f"identical weights ({result.weights_sha256[:12]}), {took}"
    return f"differs: {result.first_difference.rstrip('.')}, {took}"


def epoch_facts(metrics: EpochMetrics) -> list[str]:
    """What is to be said of an epoch, the most important first."""
    facts = [
        f"test accuracy {percent(metrics.test_accuracy)}",
        f"train loss {metrics.train_loss:.4f}",
        f"test loss {metrics.test_loss:.4f}",
        f"{metrics.seconds:.1f} s",
        f"{metrics.images_per_second:,.0f} images/s",
        f"lr {metrics.lr:.3g}",
    ]
    if metrics.validation_accuracy is not None:
        facts.insert(1, f"validation accuracy {percent(metrics.validation_accuracy)}")
    return facts


def failure(error: RunError) -> str:
    """Why a run failed, and what to do about it, as it was recorded."""
    return f"{error.message} {error.hint}".strip()
