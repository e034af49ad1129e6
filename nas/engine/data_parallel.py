"""Weights trained by several processes: through Ray Train, mostly by DistributedDataParallel."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import ray
import torch
from ray import train as ray_train
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer, get_device, prepare_model
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.config.resources import Resources
from nas.engine.cluster import Cluster
from nas.engine.node_cache import volumes_here
from nas.engine.slots import Machine, this_machine
from nas.export.training_job import train
from trainers.errors import TrainingDivergedError, UserError, last_line
from trainers.parallel import Worker

MOST_CPUS = 8  # of a worker: its share of patches, and on a CPU its convolutions
RESTARTS = 2
WAIT = 6 * 3600  # seconds that workers wait for the first one, which validates
STARTS = 5  # of workers that are not to be had, a minute each
LOOK = 0.5  # seconds between two looks whether the run has ended
LOST = (TrainingFailedError, RayError)  # how a process is lost, or one that Ray has for itself


class Job(Protocol):
    """What processes train together, a dataclass; see `nas.export.training_job.Job`."""

    @property
    def volumes(self) -> Path: ...
    @property
    def checkpoint(self) -> Path: ...


Train = Callable[[Any, Callable[[Any], object], torch.device, Worker], Any]


@dataclass(frozen=True)
class _Ended:
    """The last that the first worker tells."""

    outcome: Any


@contextmanager
def data_parallel(workers: int, address: str | None, folder: Path) -> Iterator[Workers]:
    """Processes that train jobs together, on `workers` GPUs, or CPUs where there is no GPU.

    Without an `address` on this machine, else on the Ray cluster there, whose nodes must share
    `folder`. Raises UserError where there is no room for so many workers.
    """
    here = None if address else share([this_machine()], workers)
    with Cluster(here or Resources(), address) as cluster:
        cluster.start()
        wanted = cluster.requested if here else share(cluster.machines(), workers)
        cluster.check(folder.resolve())
        yield Workers(workers, wanted, cluster.driver_node)


def _nothing() -> None:
    """Nothing is due by the clock."""


@dataclass(frozen=True)
class Workers:
    """So many processes of the `wanted` resources, and Ray's id of the node that tells them what.

    `train`: what each of them does, given the job, whom to report to, its device and which worker
    it is; the first one's outcome counts. Where one is lost, all of them begin again at the last
    epoch, `restarts` times at most.
    """

    count: int
    wanted: Resources
    driver_node: str
    train: Train = train
    restarts: int = RESTARTS

    def __call__(
        self, job: Job, report: Callable[[Any], object], tick: Callable[[], object] = _nothing
    ) -> Any:
        """Train the job; `report` is called in this process, and `tick` about twice a second.

        Raises one of `LOST` where a process is lost at the last start, too.
        """
        for _ in range(self.restarts):
            try:
                return self._start(job, report, tick)
            except LOST as error:  # with its node, say
                again = f"training begins again at the last epoch: {last_line(error)}"
                warnings.warn(again, stacklevel=2)
        return self._start(job, report, tick)

    def _start(self, job: Job, report: Callable[[Any], object], tick: Callable[[], object]) -> Any:
        """With a queue of its own: that of an earlier start may be what was lost."""
        records = job.checkpoint.parent.resolve() / f".ray-{uuid4().hex}"
        queue = self._queue()
        try:
            return self._fit(job, report, tick, queue, records)
        finally:
            with suppress(RayError):
                queue.shutdown(force=True)
            shutil.rmtree(records, ignore_errors=True)

    def _queue(self) -> Queue:
        return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": self._here})

    @property
    def _here(self) -> NodeAffinitySchedulingStrategy:
        """The node that may not be lost."""
        return NodeAffinitySchedulingStrategy(self.driver_node, soft=False)

    def _fit(
        self,
        job: Job,
        report: Callable[[Any], object],
        tick: Callable[[], object],
        queue: Queue,
        records: Path,
    ) -> Any:
        """The trainer runs in a task: the interruption of this process then ends what it waits for.

        (Ray crashes where it is shut down while a thread waits for it.)
        """
        task = ray.remote(fit).options(num_cpus=0, max_retries=0, scheduling_strategy=self._here)
        config = {"job": job, "train": self.train, "queue": queue, "driver": self.driver_node}
        running = task.remote(config, self.count, self.wanted, records)
        told: Any = None
        ended = False
        try:
            while not ended or not queue.empty():
                tick()
                ended = bool(ray.wait([running], timeout=0)[0])
                with suppress(Empty):
                    told = queue.get(timeout=LOOK)
                    if not isinstance(told, _Ended):
                        report(told)
        except BaseException:
            ray.cancel(running, force=True)
            raise
        if failure := ray.get(running):
            raise failure
        assert isinstance(told, _Ended), "the first worker ended without an outcome"
        return told.outcome


def fit(config: dict[str, Any], workers: int, wanted: Resources, records: Path) -> Exception | None:
    """Train with so many workers; returns what went wrong. See `work` for `config`."""
    bundle = {"CPU": wanted.cpus, "GPU": wanted.gpus, **wanted.custom}
    trainer = TorchTrainer(
        work,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=bool(wanted.gpus),
            resources_per_worker={name: n for name, n in bundle.items() if n},
            label_selector=wanted.labels or None,  # type: ignore[call-arg]
        ),
        torch_config=TorchConfig(timeout_s=WAIT),
        run_config=RunConfig(
            name=uuid4().hex,
            storage_path=str(records),
            # Of workers that are not to be had: by default Ray tries for ever, and tells nobody.
            failure_config=FailureConfig(controller_failure_limit=STARTS),  # type: ignore[call-arg]
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        return _cause(error)
    return None


def share(machines: Sequence[Machine], workers: int, trial: Resources | None = None) -> Resources:
    """What each of so many workers gets: a GPU where there are any, and some CPUs.

    Where it stands for a `trial` it gets of `custom` what that does, on nodes with its `labels`.
    Raises UserError where the machines have no room for all of them.
    """
    gpus = 1 if any(machine.resources.get("GPU", 0) >= 1 for machine in machines) else 0
    own = trial or Resources()
    for cpus in range(MOST_CPUS, 0, -1):
        wanted = own.model_copy(update={"cpus": cpus, "gpus": gpus, "concurrent": workers})
        if sum(machine.room(wanted) for machine in machines) >= workers:
            return wanted
    room = sum(machine.room(Resources(gpus=gpus)) for machine in machines)
    kind = "GPU and a CPU" if gpus else "CPU"
    raise UserError(
        f"--workers {workers}: each takes a {kind}, and there is room for {room} on "
        f"{'; '.join(map(str, machines)) or 'no machine'}; expected {max(room, 1)} or fewer"
    )


def work(config: dict[str, Any]) -> None:
    """One worker's part of the job, on its node; the first one tells the driver."""
    job, queue = config["job"], config["queue"]
    context = ray_train.get_context()
    job = replace(job, volumes=volumes_here(job.volumes, config["driver"]))
    wrap = partial(
        prepare_model,
        move_to_device=False,
        # Tokens pruned away, or a decoder's path not taken, leave parameters without a gradient.
        parallel_strategy_kwargs={"find_unused_parameters": True},
    )
    worker = Worker(context.get_world_rank(), context.get_world_size(), wrap)
    tell = queue.put if worker.first else _silent
    tell(_Ended(config["train"](job, tell, get_device(), worker)))


def _cause(error: TrainingFailedError) -> Exception:
    """What went wrong in a worker, where that is segnas' own to tell."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, UserError | TrainingDivergedError):
                return cause
            cause = cause.__cause__ or getattr(cause, "_base_exc", None)
    return TrainingFailedError(str(error))


def _silent(told: object) -> None:
    """The first worker tells."""
