"""Runs side by side: in what they were asked for and ran on they differ, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from mnist_client.curves import Curve
from mnist_client.evaluating import configuration_of, model_file_name
from mnist_shared.contracts.requests import OnTarget, ResumeRequest
from mnist_shared.contracts.runs import EvaluateResult, TrainResult

LESS_IS_BETTER = frozenset({"test loss"})
SOURCES = {"evaluate": "evaluates", "export": "exports", "predict": "predicts by", "verify": "verifies"}
NEITHER_IS_BETTER = frozenset({"epochs", "seconds", "weights"})  # more epochs take longer


@dataclass(frozen=True)
class Fact:
    """One thing to know of each run, in their order; None: not known."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)

    @property
    def winners(self) -> frozenset[int]:
        """The runs that are best in it; none where all are equal, or better has no meaning."""
        known = [value for value in self.values if value is not None]
        if self.name in NEITHER_IS_BETTER or len(known) < 2 or not self.differs:
            return frozenset()
        best = min(known) if self.name in LESS_IS_BETTER else max(known)
        return frozenset(number for number, value in enumerate(self.values) if value == best)


@dataclass(frozen=True)
class Comparison:
    curves: Sequence[Curve]
    configuration: list[Fact]  # all of them, those that are the same too
    environment: list[Fact]
    outcome: list[Fact]

    @property
    def epochs(self) -> list[int]:
        """All that any of the runs has finished."""
        return sorted({metrics.epoch for curve in self.curves for metrics in curve.epochs})

    @property
    def same_weights(self) -> bool | None:
        """Whether they ended with the same weights, bit for bit; None: not all have ended with weights."""
        weights = next((fact for fact in self.outcome if fact.name == "weights"), None)
        return None if weights is None or None in weights.values else not weights.differs


def compare_runs(curves: Sequence[Curve]) -> Comparison:
    """The comparison of two runs or more."""
    return Comparison(
        curves,
        configuration=_facts([_configuration(curve) for curve in curves]),
        environment=_facts([_environment(curve) for curve in curves]),
        outcome=_facts([_outcome(curve) for curve in curves]),
    )


def _facts(documents: Sequence[dict[str, Any]]) -> list[Fact]:
    names = dict.fromkeys(name for document in documents for name in document)
    return [Fact(name, tuple(document.get(name) for document in documents)) for name in names]


def _configuration(curve: Curve) -> dict[str, Any]:
    request = curve.record.request
    source = {}
    if isinstance(request, ResumeRequest):
        source = {"resumes": request.parent}
    elif isinstance(request, OnTarget):
        source = {SOURCES[request.kind]: request.target or model_file_name(request)}
    fields = configuration_of(request)
    return {"kind": request.kind, **source, **{name.replace("_", "-"): value for name, value in fields.items()}}


def _environment(curve: Curve) -> dict[str, Any]:
    """As the last attempt told it; what an older worker did not tell is taken from the result."""
    told, result, training = curve.history.environment, curve.record.result, curve.history.training
    attempts = curve.history.attempts
    found: dict[str, Any] = {}
    if told is not None:
        found = {"device": told.device, "device name": told.device_name, "threads": told.num_threads, **told.versions}
    elif result is not None:
        found = {"device": result.device}
    if isinstance(result, TrainResult):
        found.setdefault("threads", result.num_threads)
    data = training.dataset_sha256 if training is not None else None
    if data is None and isinstance(result, TrainResult):
        data = result.dataset_sha256
    if data is not None:
        found["data SHA-256"] = data[:12]
    if attempts:
        found |= {"worker": attempts[-1].worker, "attempts": len(attempts)}
    return found


def _outcome(curve: Curve) -> dict[str, Any]:
    """The run's end, or how far it is."""
    result, last, best = curve.record.result, curve.epochs[-1] if curve.epochs else None, curve.best
    if isinstance(result, EvaluateResult):
        return {"test accuracy": result.accuracy, "test loss": result.average_loss, "seconds": result.seconds}
    trained = result if isinstance(result, TrainResult) and not result.dry_run else None
    source = trained or last
    return {
        "test accuracy": source.test_accuracy if source else None,
        "test loss": source.test_loss if source else None,
        "best accuracy": best.test_accuracy if best else None,
        "epochs": last.epoch if last else None,
        "seconds": sum(metrics.seconds for metrics in curve.epochs) if curve.epochs else None,
        "images/s": median(metrics.images_per_second for metrics in curve.epochs) if curve.epochs else None,
        "weights": trained.weights_sha256[:12] if trained else None,
    }
