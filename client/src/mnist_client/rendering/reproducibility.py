"""What it takes to do a run again with the same weights: code, libraries, device, data, seed."""

from collections.abc import Iterator

from mnist_client.evaluating import configuration_of
from mnist_client.history import History
from mnist_client.rendering.wording import plural
from mnist_shared.contracts.runs import EvaluateResult, RunRecord, TrainResult

CODE = ("mnist-shared", "mnist-worker", "mnist-client")
UNKNOWN = "not recorded yet"


def reproducibility_facts(record: RunRecord, history: History) -> Iterator[tuple[str, str]]:
    """Label and text of each part that is known."""
    environment, training, result = history.environment, history.training, record.result
    if environment is not None:
        own = [f"{name} {environment.versions[name]}" for name in CODE if name in environment.versions]
        others = [f"{name} {version}" for name, version in sorted(environment.versions.items()) if name not in CODE]
        yield "code", ", ".join(own) or UNKNOWN
        yield "libraries", ", ".join(others) or UNKNOWN
        name = f" ({environment.device_name})" if environment.device_name not in ("", environment.device) else ""
        yield "device", f"{environment.device}{name}, {plural(environment.num_threads, 'thread')}"
    elif training is not None:
        yield "device", f"{training.device}, {plural(training.num_threads, 'thread')}"
    elif result is not None:
        yield "device", result.device
    digest = training.dataset_sha256 if training is not None else None
    if digest is None and isinstance(result, TrainResult):
        digest = result.dataset_sha256
    config = configuration_of(record.request)
    report = result.report if isinstance(result, EvaluateResult) else None
    dataset = config["dataset"] if report is None else report.dataset
    yield "data", dataset + (f", SHA-256 {digest}" if digest else "")
    if "seed" in config:
        yield "seed", str(config["seed"])
    if isinstance(result, TrainResult) and not result.dry_run:
        yield "weights", f"SHA-256 {result.weights_sha256}"
