"""A supernet's training in several processes, each with its part of every batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import torch

from nas.config.resources import Resources
from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.cluster import Cluster
from nas.engine.data_parallel import LOST, Workers, share
from nas.engine.evaluator import Workspace
from nas.engine.interrupt import interruptible
from nas.engine.supernet.jobs import TRAINING
from nas.engine.trial_files import TrialFiles
from nas.engine.trial_source import TrialSource
from nas.engine.trial_worker import WorkerSettings
from nas.engine.worker_failure import cause_in
from trainers.errors import TrainingDivergedError
from trainers.parallel import Worker

if TYPE_CHECKING:
    from nas.engine.supernet.jobs import SupernetJobs
    from nas.engine.supernet.train_supernet import SupernetReport


@dataclass(frozen=True)
class SupernetTraining:
    """The training of a search's supernet; `settings` as its workers have them."""

    settings: WorkerSettings
    volumes: Path

    @property
    def jobs(self) -> SupernetJobs:
        """What is trained, and how."""
        return cast("SupernetJobs", self.settings.evaluator)

    @property
    def checkpoint(self) -> Path:
        """The file that it goes on from."""
        return self.jobs.shared.file


class _EnoughError(Exception):
    """The search wants no more of it."""


def gang_size(gpus: int, batch: int) -> int:
    """How many processes train together: as many as there are GPUs, and as share the batch."""
    return next(n for n in range(max(1, min(gpus, batch)), 0, -1) if batch % n == 0)


def gang(cluster: Cluster, resources: Resources, batch: int) -> Workers | None:
    """The processes, where the search has several GPUs for them. Ray must be started.

    On a cluster each of them takes of `custom` what a trial takes, and its node has the `labels`.
    """
    gpus = int(cluster.slots * resources.gpus)
    if not cluster.here:
        one = resources.model_copy(update={"cpus": 1, "gpus": 1})
        gpus = min(gpus, sum(machine.room(one) for machine in cluster.machines()))
    count = gang_size(gpus, batch)
    if count == 1:
        return None
    here = Resources(cpus=1, gpus=1)
    wanted = here if cluster.here else share(cluster.machines(), count, resources)
    return Workers(count, wanted, cluster.driver_node, train_supernet, restarts=0)


def train_together(
    stage: TrialSource, workers: Workers, training: SupernetTraining, cluster: Cluster
) -> None:
    """Train as the stage's first job. Where processes are lost it begins again at the last epoch,
    as often as the stage wants; those that a node takes along do not count. Where that was Ray's
    own on this machine Ray is started again, and it does not count after an epoch. Ctrl-C once ends
    it with the running epoch, twice now."""
    try:
        with interruptible(stage):
            _train(stage, workers, training, cluster)
    except KeyboardInterrupt:
        stage.interrupt()
    stage.requeue()


def _train(
    stage: TrialSource, workers: Workers, training: SupernetTraining, cluster: Cluster
) -> None:
    from nas.engine.supernet.train_supernet import SupernetReport

    reported = False

    def report(told: SupernetReport) -> None:
        nonlocal reported
        reported = True
        if not stage.report(TRAINING, told) and (told.reason or not told.done):
            raise _EnoughError

    while stage.start(TRAINING) is not None:
        reported = False
        try:
            workers(training, report, stage.tick)
        except LOST as error:
            ray_died = cluster.loses_its_node()
            counts = not (reported if ray_died else cluster.loses_a_node())
            stage.on_worker_lost(TRAINING, counts=counts, cause=cause_in(str(error)))
            if ray_died:
                cluster.stop()
                cluster.start()
                workers = replace(workers, driver_node=cluster.driver_node)
            continue
        except TrainingDivergedError as error:  # in one that does not report
            stage.report(TRAINING, SupernetReport(reason=str(error), done=True))
        except _EnoughError:
            pass
        else:
            stage.end(TRAINING)
        break


def train_supernet(
    training: SupernetTraining,
    tell: Callable[[SupernetReport], object],
    device: torch.device,
    worker: Worker,
) -> None:
    """One process's part of it. Where it cannot go on it raises, so that no other waits for it.

    Where any of them hangs the first one does, in the next sum of their gradients: it alone is
    watched, since the others wait for as long as it validates. See `Watchdog`.
    """
    from nas.engine.supernet.train_supernet import TrainSupernet
    from trainers.data.cache import VolumeCache
    from trainers.data.splits import split_cases

    settings, jobs = training.settings, training.jobs
    lock = MachineLock.named(settings.machine_lock)
    cache = VolumeCache.open(training.volumes)
    cases = split_cases(cache.names, settings.directory / "split.json")
    watchdog = TrialFiles(settings.directory, settings.stall_minutes).watchdog(TRAINING)

    def leave() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        watchdog.pause()

    def pause() -> None:
        lock.pause(leave)
        watchdog.heartbeat()

    jobs.prepare(Workspace(settings.directory, cache, cases, pause))
    assert jobs.workspace is not None
    steps = TrainSupernet(jobs, jobs.workspace, worker, attempt=uuid4().hex)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # others may still copy volumes: nobody is watched for that
    done = False
    while not done:
        with lock.shared(), watchdog.watching() if worker.first else nullcontext():
            report = steps.advance()
        tell(report)
        if report.reason:
            raise TrainingDivergedError(report.reason)
        done = report.done
