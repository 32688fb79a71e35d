"""What one probably wants to type next about a run, after `mnist-client`."""

from mnist_shared.contracts.config import PRESETS, TrainConfig
from mnist_shared.contracts.requests import Training
from mnist_shared.contracts.runs import RunRecord, RunState

# Errors that would come again if the same were tried again.
LASTING_ERRORS = frozenset({"InvalidInput", "NotEnoughEpochs", "ContractError", "CheckpointError"})


def next_commands(record: RunRecord) -> list[str]:
    """What suits the run's state, the likeliest first."""
    if record.state in (RunState.QUEUED, RunState.RUNNING):
        return [f"follow {record.id}", f"cancel {record.id}"]
    if record.state is not RunState.SUCCEEDED:
        return [remedy(record)]
    if not isinstance(record.request, Training) or record.checkpoint is None:
        return []
    return [f"evaluate {record.id}", f"resume {record.id} --epochs {2 * record.request.config.epochs}"]


def remedy(record: RunRecord) -> str:
    """The one command that helps a run on that failed or was cancelled."""
    config, kind = record.request.config, record.error.kind if record.error is not None else ""
    trains = isinstance(record.request, Training)
    if kind == "TrainingDiverged":
        slower = config.model_copy(update={"lr": float(f"{config.lr / 10:.6g}")})
        return " ".join(["submit train", *as_typed(slower)])
    if kind in LASTING_ERRORS:
        return " ".join(["submit train", *as_typed(config)]) if kind == "CheckpointError" else f"status {record.id}"
    has_more = trains and record.checkpoint is not None and record.checkpoint.epoch < config.epochs
    return f"resume {record.id}" if has_more else f"retry {record.id}"


def as_typed(config: TrainConfig) -> list[str]:
    """The options that make this configuration: its preset, and what differs from it."""
    preset = [] if config.preset == "reference" else [f"--preset {config.preset}"]
    return preset + differences(config, PRESETS[config.preset])


def differences(config: TrainConfig, other: TrainConfig) -> list[str]:
    """The options in which `config` differs from `other`, with its values; the preset is not one."""
    found = []
    for name in TrainConfig.model_fields:
        value, option = getattr(config, name), name.replace("_", "-")
        if name == "preset" or value == getattr(other, name):
            continue
        if isinstance(value, bool):
            found.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, tuple):
            found.append(f"--{option} {','.join(map(str, value))}")
        else:
            found.append(f"--{option} {value}")
    return found


def can_resume_after_cancel(record: RunRecord) -> bool:
    """Whether a cancelled run can be gone on with: it has a checkpoint, or its worker will leave one."""
    if not isinstance(record.request, Training) or record.state is RunState.SUCCEEDED:
        return False
    if record.checkpoint is not None:
        return True
    config = record.request.config
    will_save = record.state is RunState.RUNNING and record.progress is not None
    return will_save and config.save_model and not config.dry_run
