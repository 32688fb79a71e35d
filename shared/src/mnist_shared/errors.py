"""Every error this project raises on purpose.

MnistError
├── InvalidInput             what the user typed, or sent, is not valid
├── ContractError            a document is not of a schema this version reads
├── RunNotFound              no run answers to that name
├── RunNotFinished           the run exists, but is not that far yet
├── RunFailed                a run that was waited for has failed
├── RunCancelled             a run that was waited for was cancelled
├── NotEnoughEpochs          a resume asks for no more epochs than the run already has
├── BrokerUnreachable        the Redis server does not answer
│   └── BrokerRefused        it answers, and refuses (wrong password, no permission)
├── LeaseLost                this execution no longer owns its run
├── DatasetError             the data set is missing, damaged, or cannot be downloaded
├── CheckpointError          a checkpoint is missing or damaged
├── VolumeError              the storage folder is full, read-only or out of reach
├── TrainingDiverged         the loss or a weight is no longer a finite number
└── MissingPart              an optional part (a server, a worker, torch) is not installed

A message says what happened; `hint` says what to do about it. Both are single sentences, shown to the user as they are.
"""


class MnistError(Exception):
    """The root of them all: `except MnistError` catches what this project means to report, and nothing else."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(MnistError):
    """What the user typed, or sent, is not valid."""


class ContractError(MnistError):
    """A document is damaged, or was written by a version whose schema this one does not read."""


class RunNotFound(MnistError):
    """No run has this id, id prefix or relative name."""


class RunNotFinished(MnistError):
    """The run exists, but has not come far enough for what was asked."""


class RunFailed(MnistError):
    """A run that was waited for has failed; `kind` is the class of the error that its worker met."""

    def __init__(self, message: str, *, run_id: str, kind: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id
        self.kind = kind


class RunCancelled(MnistError):
    """A run that was waited for was cancelled."""

    def __init__(self, message: str, *, run_id: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id


class NotEnoughEpochs(MnistError):
    """A resume asks for a total number of epochs that the run has already reached."""


class BrokerUnreachable(MnistError):
    """The Redis server cannot be reached, or stopped answering."""


class BrokerRefused(BrokerUnreachable):
    """The Redis server answers, and refuses: wrong password, missing permission, or not a Redis server."""


class LeaseLost(MnistError):
    """This execution's token is stale: another one owns the run, or it has ended. Nothing may be committed."""


class DatasetError(MnistError):
    """The data set is missing, damaged, or cannot be downloaded."""


class CheckpointError(MnistError):
    """A checkpoint is missing, damaged, or does not fit the network."""


class VolumeError(MnistError):
    """The storage folder is full, read-only or out of reach."""


class TrainingDiverged(MnistError):
    """The loss or a weight is no longer a finite number."""


class MissingPart(MnistError):
    """An optional part is not installed; the hint is the command that installs it."""
