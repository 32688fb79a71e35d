"""What a run asks for, done with the training package. It imports torch: only the pool process imports this."""

import logging
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from mnist_shared.contracts.base import read_document
from mnist_shared.contracts.config import TrainConfig, is_dataset_name
from mnist_shared.contracts.events import EnvironmentRecorded, Finished, RunEvent
from mnist_shared.contracts.reports import Normalisation
from mnist_shared.contracts.requests import (
    EvaluateRequest,
    ExportRequest,
    ModelFile,
    OnTarget,
    PredictRequest,
    ResumeRequest,
    TrainRequest,
    VerifyRequest,
)
from mnist_shared.contracts.runs import (
    RUN_FILE,
    EvaluateResult,
    PredictResult,
    RunFile,
    RunResult,
    TrainResult,
    VerifyResult,
)
from mnist_shared.contracts.workers import DeviceInfo
from mnist_shared.errors import VolumeError
from mnist_shared.settings import Settings
from mnist_shared.storage.archive import write_events
from mnist_shared.storage.runs import Grant, RunStore
from mnist_shared.training.checkpoints import CheckpointStore
from mnist_shared.training.data import FACTS, Dataset, load_dataset
from mnist_shared.training.device import available_cores, choose_device, describe_device
from mnist_shared.training.model_files import dataset_of, load_model_file
from mnist_shared.training.tested import LoadedNetwork, load_tested
from mnist_shared.training.trainer import train
from mnist_shared.training.verification import compared
from mnist_shared.training.warming import warm_up
from mnist_shared.volume.own_models import read_model, was_exported
from mnist_shared.volume.run_folder import RunFolder
from mnist_worker.execution import Execution
from mnist_worker.on_target import evaluated, exported, predicted
from mnist_worker.run_file import settle
from mnist_worker.run_log import run_log
from mnist_worker.tensorboard import CurveWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workbench:
    """A worker's own limits: where its files are, and what of its machine it may use."""

    settings: Settings
    num_threads: int | None = None  # None: all cores that the process may use
    no_cuda: bool = False
    no_mps: bool = False

    def threads(self) -> int:
        return self.num_threads or available_cores()

    def device(self, config: TrainConfig | None = None) -> torch.device:
        return choose_device(
            no_cuda=self.no_cuda or (config is not None and config.no_cuda),
            no_mps=self.no_mps or (config is not None and config.no_mps),
        )

    def warm_up(self) -> None:
        """Do now what the first run would have to wait for."""
        warm_up(self.device(), num_threads=self.threads())

    def device_info(self) -> DeviceInfo:
        return describe_device(self.device(), self.threads())

    def do(self, execution: Execution) -> RunResult | None:
        """Execute the granted run; None when it was asked to stop, and stands at a checkpoint."""
        request = execution.grant.request
        run_file = self._settle(execution)
        execution.reporter.tell(self._environment(request.config, num_threads=run_file.num_threads))
        num_threads = run_file.num_threads
        match request:
            case EvaluateRequest(file=ModelFile() as file):
                return self._evaluate_file(request, file, execution, num_threads=num_threads)
            case EvaluateRequest():
                tested = self._tested(request, execution)
                return evaluated(
                    request,
                    tested,
                    execution,
                    folder=self._folder(execution.grant.run_id),
                    data=self._data(request.config),
                    normalisation=self._normalisation(tested),
                    device=self.device(request.config),
                    num_threads=num_threads,
                )
            case ExportRequest():
                return exported(
                    request,
                    self._tested(request, execution),
                    execution,
                    folder=self._folder(execution.grant.run_id),
                    data=self._data(request.config),
                    num_threads=num_threads,
                )
            case PredictRequest():
                return self._predict(request, execution, num_threads=num_threads)
            case VerifyRequest():
                return self._verify(request, execution)
            case TrainRequest():
                return self._train(execution, num_threads=num_threads)
            case ResumeRequest():
                return self._train(execution, num_threads=num_threads, parent=request.parent)

    def _train(self, execution: Execution, *, num_threads: int, parent: str | None = None) -> TrainResult | None:
        grant, config = execution.grant, execution.grant.request.config
        folder, data = self._folder(grant.run_id), self._data(config)
        curves = CurveWriter(
            folder.tensorboard,
            config=config,
            attempt=grant.attempt,
            title=f"{grant.options.name or 'run'}-{grant.run_id[:6]}",
            links=self.settings.tensorboard_dir,
            is_on=not config.dry_run,
        )

        def tell(event: RunEvent) -> None:
            curves.note(event)
            execution.reporter.tell(event)

        answers: list[Tensor] = []
        with curves:
            result = train(
                config,
                data=data,
                device=self.device(config),
                num_threads=num_threads,
                checkpoints=CheckpointStore(
                    folder.checkpoints,
                    attempt=grant.attempt,
                    authorize=execution.reporter.authorize,
                    keep_last=config.keep_last,
                ),
                model_path=folder.model,
                on_event=tell,
                should_stop=execution.should_stop,
                parent=self._folder(parent).checkpoints if parent else None,
                answers=answers,
            )
            if result is not None and answers and not config.dry_run:
                curves.finish(answers, data)
        return result

    def _verify(self, request: VerifyRequest, execution: Execution) -> VerifyResult | None:
        """Train the target's request again, with its number of threads, as a run of its own; then compare."""
        target = read_document(
            RUN_FILE, self._read(self._folder(request.target).run_file), what=f"run.json of run {request.target}"
        )
        result = self._train(execution, num_threads=target.num_threads, parent=request.parent)
        if result is None:
            return None
        return compared(
            request.target,
            result,
            target=target,
            ours=self._folder(execution.grant.run_id).checkpoints,
            theirs=self._folder(request.target).checkpoints,
            device=self.device(request.config).type,
            versions=library_versions(),
        )

    def _evaluate_file(
        self, request: EvaluateRequest, file: ModelFile, execution: Execution, *, num_threads: int
    ) -> EvaluateResult | None:
        found = load_model_file(
            file,
            read_model(self.settings.storage_dir, file),
            is_ours=lambda content: was_exported(self.settings.runs_dir, content),
            num_threads=num_threads,
        )
        config = request.config
        if request.as_trained:
            config = config.model_copy(update={"dataset": dataset_of(found)})
        data = self._data(config)
        # Of a file that does not say what it was trained on, the data set it is evaluated on is as good as any.
        trained_on = found.dataset if found.dataset and is_dataset_name(found.dataset) else data.name
        return evaluated(
            request,
            found,
            execution,
            folder=self._folder(execution.grant.run_id),
            data=data,
            normalisation=found.normalisation or self._load(trained_on).normalisation,
            device=torch.device("cpu") if found.is_program else self.device(config),
            num_threads=num_threads,
        )

    def _predict(self, request: PredictRequest, execution: Execution, *, num_threads: int) -> PredictResult:
        tested = self._tested(request, execution)
        trained_on = tested.config.dataset
        return predicted(
            request,
            tested,
            normalisation=self._normalisation(tested),
            classes=(FACTS.get(trained_on) or self._load(trained_on)).classes,
            device=self.device(request.config),
            num_threads=num_threads,
        )

    def _tested(self, request: OnTarget, execution: Execution) -> LoadedNetwork:
        assert not isinstance(request, VerifyRequest)
        assert request.target is not None
        return load_tested(
            self._folder(request.target).checkpoints,
            target=request.target,
            which=request.checkpoint,
            on_event=execution.reporter.tell,
        )

    def _normalisation(self, tested: LoadedNetwork) -> Normalisation:
        return tested.normalisation or self._data(tested.config).normalisation

    def _data(self, config: TrainConfig) -> Dataset:
        return self._load(config.dataset)

    def _load(self, dataset: str) -> Dataset:
        return load_dataset(dataset, folder=self.settings.data_dir, storage_dir=self.settings.storage_dir)

    def _read(self, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise VolumeError(
                f"{file} cannot be read: {error.strerror or error}.", hint="Its run has not started, or was removed."
            ) from error

    def archive(self, store: RunStore, grant: Grant, last: Finished) -> None:
        """Write the run's events beside its checkpoints. Raises BrokerUnreachable and LeaseLost, but no OSError.

        A volume that has no room for them is no reason to call a run that has ended anything else than ended.
        """
        told = store.replay(grant)  # only the owner writes
        try:
            write_events(self._folder(grant.run_id), told, last, attempt=grant.attempt)
        except OSError as error:
            log.warning("run %s: its events are not archived: %s", grant.run_id, error)

    def keep_log(self, grant: Grant, *, worker: str) -> AbstractContextManager[None]:
        """While this lasts, what is logged is kept in the run's folder, too."""
        path = self._folder(grant.run_id).log_file
        return run_log(path, run_id=grant.run_id, worker=worker, attempt=grant.attempt)

    def _environment(self, config: TrainConfig, *, num_threads: int) -> EnvironmentRecorded:
        info = _described(self.device(config), num_threads)
        return EnvironmentRecorded(
            device=info.kind, device_name=info.name, num_threads=num_threads, versions=library_versions()
        )

    def _settle(self, execution: Execution) -> RunFile:
        grant = execution.grant
        proposal = RunFile(
            id=grant.run_id,
            request=grant.request,
            options=grant.options,
            num_threads=self.threads(),
            device=str(self.device(grant.request.config)),
            versions=library_versions(),
        )
        return settle(self._folder(grant.run_id).run_file, proposal, attempt=grant.attempt)

    def _folder(self, run_id: str) -> RunFolder:
        return RunFolder(self.settings.runs_dir, run_id)


_described = cache(describe_device)  # /proc/cpuinfo of a large machine takes longer than all else before a run


@cache
def library_versions() -> dict[str, str]:
    """The versions on which a run's bits may depend."""
    names = ("mnist-worker", "mnist-shared", "torch", "torchvision", "celery")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
