"""A run in every state, with names and ids that never change, for screens that are compared as text."""

from collections.abc import Mapping

from redis import Redis

from mnist_shared.contracts.config import TrainConfig
from mnist_shared.contracts.requests import EvaluateRequest, Request, TrainRequest
from mnist_shared.contracts.runs import SubmitOptions
from mnist_shared.contracts.workers import DeviceInfo, WorkerInfo
from mnist_shared.storage.runs import RunStore
from mnist_shared.storage.workers import WorkerRegistry
from tests.client.owner import Owner

HOURS_AGO = 2  # when all were submitted
LOSSES = (0.21, 0.081, 0.055, 0.041, 0.034, 0.029, 0.026, 0.024, 0.022, 0.021, 0.02, 0.019, 0.0185, 0.018, 0.0178)


class Zoo:
    """The runs by name, in the order of their submission."""

    def __init__(self, redis: Redis) -> None:
        self.redis, self.store = redis, RunStore(redis)
        self.ids: dict[str, str] = {}
        done = self._owned("brisk-otter", epochs=15, tags=("sweep", "lr=0.001"))
        self.train(done, epochs=15)
        done.succeed()
        failed = self._owned("calm-hare", worker="worker-2", epochs=15)
        self.train(failed, epochs=2)
        failed.fail()
        self._owned("dusty-crow", worker="worker-2", epochs=15).fail(
            "MNIST is missing in /srv/data/datasets, and could not be downloaded: pypi.example does not resolve.",
            hint="Put the files into /srv/data/datasets/MNIST/raw, or use --dataset digits.",
        )
        running = self._owned("eager-lynx", epochs=15, worker="gpu-machine-17-b2f0")
        self.train(running, epochs=6)
        running.batch(7, 404)
        self.submit("fresh-moth", EvaluateRequest(target=self.ids["brisk-otter"], config=TrainConfig()))
        Owner(self.store, self.ids["fresh-moth"]).evaluate()
        self.submit("grand-seal", TrainRequest(config=TrainConfig()))
        self.store.cancel(self.ids["grand-seal"])
        self.submit("happy-toad", TrainRequest(config=TrainConfig(epochs=3)))
        self.submit("ideal-wren", TrainRequest(config=TrainConfig(epochs=5)), after=self.ids["eager-lynx"])

    def submit(self, name: str, request: Request, **options: object) -> str:
        run_id = f"{10 + len(self.ids)}5eed000000"
        wishes = SubmitOptions.model_validate({"name": name, **options})
        self.ids[name] = self.store.submit(request, run_id=run_id, options=wishes).run_id
        return run_id

    def _owned(self, name: str, *, worker: str = "worker-1", epochs: int, **options: object) -> Owner:
        self.submit(name, TrainRequest(config=TrainConfig(epochs=epochs)), **options)
        return Owner(self.store, self.ids[name], worker=worker)

    @staticmethod
    def train(owner: Owner, *, epochs: int) -> None:
        owner.start()
        for epoch in range(1, epochs + 1):
            owner.epoch(epoch, correct=9890 + 3 * epoch, train_loss=LOSSES[epoch - 1])

    def backdate(self) -> "Zoo":
        """All were submitted HOURS_AGO: an age that does not change while a test runs."""
        seconds, _ = self.redis.time()
        for run_id in self.ids.values():
            self.redis.hset(self.store.keys.run(run_id), "submitted_ms", (seconds - HOURS_AGO * 3600 - 60) * 1000)
        return self


def announce(redis: Redis, name: str, *, state: str = "busy", run: str | None = None) -> None:
    """A worker is present."""
    info: Mapping[str, object] = {
        "name": name, "host": "machine-1", "pid": 1, "state": state, "versions": {"torch": "2.14.1"}, "run": run,
        "device": DeviceInfo(kind="cpu", name="a processor", num_threads=2), "started_at_ms": 1,
    }  # fmt: skip
    WorkerRegistry(redis).announce(WorkerInfo.model_validate(info))
