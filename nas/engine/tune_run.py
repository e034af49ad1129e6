"""The Ray Tune run of a session: workers on one machine or many, which report to the session."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, PlacementGroupFactory, TuneConfig

from nas.config.resources import Resources
from nas.engine.cluster import Cluster, NodeDiedError
from nas.engine.interrupt import interruptible
from nas.engine.ray_private import adapt_tune
from nas.engine.trial_source import TrialSource
from nas.engine.trial_worker import TrialWorker, WorkerSettings
from nas.engine.tune_adaptors import SessionScheduler, SessionSearcher, SessionTicker
from trainers.errors import UserError

RESTARTS = 3  # in a row, without an epoch trained in between


def run_trials(
    session: TrialSource,
    cluster: Cluster,
    settings: WorkerSettings,
    worker: type[tune.Trainable] = TrialWorker,
) -> bool:
    """Run the session's trials until it is over. Returns False where Ctrl-C ended it before.

    Where Ray itself breaks down, it is started again, and the trials that had trained nothing since
    the last start are to blame.

    Raises UserError where nodes do not share the search's directory, and what broke Ray down where
    it does so again and again.
    """
    adapt_tune(inherited=cluster.here)
    directory = settings.directory
    idle, attempt, stopped = 0, 0, False
    while not session.over:
        scheduler = SessionScheduler(session)
        try:
            cluster.start()
            if attempt == 0:
                cluster.check(directory)
            here = replace(settings, driver_node=cluster.driver_node)
            with interruptible(session):
                run = f"{os.getpid()}-{attempt}"
                _fit(session, scheduler, cluster, worker, here, run)
            break
        except KeyboardInterrupt:
            stopped = True
            break
        except UserError:
            session.requeue()
            raise
        except Exception as error:  # of a dozen kinds: a lost node, a full disk, ...
            attempt += 1
            idle = 0 if scheduler.reported else idle + 1
            if idle > RESTARTS:
                session.requeue()
                raise
            session.say(f"Ray failed and is started again: {str(error).strip()}")
            innocent = isinstance(error, NodeDiedError)
            for trial_id in list(session.running):
                counts = not (innocent or trial_id in scheduler.reported)
                session.on_worker_lost(trial_id, counts=counts)
            cluster.stop()
            session.requeue()
    finished = session.over and not session.interrupted and not stopped
    session.requeue()
    return finished


def _fit(
    session: TrialSource,
    scheduler: SessionScheduler,
    cluster: Cluster,
    worker: type[tune.Trainable],
    settings: WorkerSettings,
    run: str,
) -> None:
    records = settings.directory / "ray"
    tuner = tune.Tuner(
        tune.with_resources(worker, request(cluster.requested)),
        param_space={"settings": settings},
        tune_config=TuneConfig(
            search_alg=SessionSearcher(session, cluster, scheduler.failures),
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=_key,
            trial_name_creator=_key,
        ),
        run_config=tune.RunConfig(
            name=run,
            storage_path=str(records),
            callbacks=[SessionTicker(session, cluster)],
            progress_reporter=tune.CLIReporter(),  # silent; the one for notebooks clears the cell
            failure_config=FailureConfig(max_failures=0),  # the session tries again
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(records, ignore_errors=True)


def request(resources: Resources) -> PlacementGroupFactory:
    """What Ray reserves for one trial: a bundle of resources, on a node with the labels."""
    bundle = {"CPU": resources.cpus, "GPU": resources.gpus, **resources.custom}
    labels: list[dict[str, str]] | None = [resources.labels] if resources.labels else None
    return PlacementGroupFactory([bundle], bundle_label_selector=labels)


def _key(trial: Any) -> str:
    return trial.config["key"]
