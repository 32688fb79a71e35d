"""Where a run's files lie on the shared volume. No run writes into another's folder."""

from dataclasses import dataclass
from pathlib import Path

from mnist_shared.contracts.names import checked_run_id

TORCHSCRIPT = "mnist_cnn.torchscript"


@dataclass(frozen=True)
class RunFolder:
    """`<storage>/runs/<run id>`; nothing is created by naming it."""

    runs_dir: Path
    run_id: str

    def __post_init__(self) -> None:
        checked_run_id(self.run_id)

    @property
    def path(self) -> Path:
        return self.runs_dir / self.run_id

    @property
    def run_file(self) -> Path:
        """The request and what is needed to reproduce the run."""
        return self.path / "run.json"

    @property
    def events_file(self) -> Path:
        """The events of a run that has ended."""
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """What its workers had to say while they executed it, attempt after attempt."""
        return self.path / "worker.log"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints, each with its manifest."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The trained weights alone."""
        return self.path / "mnist_cnn.pt"

    @property
    def evaluation(self) -> Path:
        """The report of an evaluation, or of a training run at its end."""
        return self.path / "evaluation"

    @property
    def export(self) -> Path:
        """What an export has written."""
        return self.path / "export"

    @property
    def torchscript(self) -> Path:
        """The program that an export to TorchScript has written."""
        return self.export / TORCHSCRIPT

    @property
    def tensorboard(self) -> Path:
        """A training run's curves."""
        return self.path / "tensorboard"
