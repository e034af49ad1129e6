"""The Ray Tune run of a session: workers on this machine, fed by the session, reporting to it."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, TuneConfig
from ray.tune.search import Searcher

from nas.config import Resources
from nas.session import Session
from nas.trial import TrialWorker
from trainers.errors import UserError

RESTARTS = 3
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ray's own records of trials and of the experiment: the study's journal has it all.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}


class _Live:
    """Holds the session for Ray, which pickles what it is given: the copies hold none."""

    session: Session

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "session"}


class SessionSearcher(_Live, Searcher):
    """Gives Ray the session's candidates, and the session the ends of trials."""

    def suggest(self, trial_id: str) -> Any:
        """The next candidate; None while there is none, FINISHED when there will be none."""
        candidate = self.session.start(trial_id)
        if candidate is None:
            return Searcher.FINISHED if self.session.over else None
        # As text, or Ray makes every choice a column of its own.
        architecture = json.dumps(candidate.architecture.to_json())
        return {"key": candidate.key, "architecture": architecture}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial has reported that it is done, or its worker is lost for good."""
        self.session.end(trial_id, lost=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


class SessionCallback(_Live, Callback):
    """Gives the session every epoch, and the time of day."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """One step of a worker is done."""
        self.session.report(trial.trial_id, result["report"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Ten times a second."""
        self.session.tick()


def count_slots(resources: Resources) -> int:
    """How many trials run side by side. Raises UserError where the machine has room for none."""
    import torch

    cpus = len(psutil.Process().cpu_affinity() or []) if hasattr(os, "sched_getaffinity") else None
    cpus = cpus or os.cpu_count() or 1
    room = cpus // resources.cpus
    if room == 0:
        raise UserError(f"resources.cpus = {resources.cpus}: this machine has {cpus}; ask for less")
    if resources.gpus:
        gpus = torch.cuda.device_count()
        if gpus < min(resources.gpus, 1) or resources.gpus > gpus:
            raise UserError(
                f"resources.gpus = {resources.gpus:g}: this machine has {gpus} that torch can use; "
                "ask for less, or 0 to train on the CPU"
            )
        per_gpu = int(1 / resources.gpus) if resources.gpus < 1 else 0
        room = min(room, gpus * per_gpu if per_gpu else int(gpus // resources.gpus))
    return resources.concurrent or room


def run_trials(session: Session, directory: Path, cache: Path, gate: str) -> bool:
    """Run the session's trials until it is over. Returns False where Ctrl-C ended it before.

    `gate` names the gate that workers compute within; see `nas.gate`. A worker that dies is
    replaced, and its trial goes on from its checkpoint. Where Ray itself breaks down, it is started
    again, `RESTARTS` times at most.
    """
    for attempt in range(RESTARTS + 1):
        if session.over:
            break
        try:
            task = {"directory": str(directory), "cache": str(cache), "gate": gate}
            with ray_running(session.config.resources, session.slots):
                _fit(session, task, directory / "ray", f"session-{os.getpid()}-{attempt}")
            break
        except Exception as error:  # of a dozen kinds: a lost node, Ray's memory monitor, ...
            if attempt == RESTARTS:
                raise
            session.say(f"Ray failed and is started again: {str(error).strip()}")
            session.requeue()
    over = session.over
    session.requeue()
    return over


@contextmanager
def ray_running(resources: Resources, slots: int) -> Iterator[None]:
    """Ray on this machine, with room for `slots` trials; one that runs already is used as it is."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Ray would start its workers, which import for seconds, one after the other.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield
        return
    ray.init(
        num_cpus=slots * resources.cpus,
        num_gpus=None if resources.gpus else 0,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        yield
    finally:
        ray.shutdown()


def _fit(session: Session, task: Mapping[str, str], records: Path, name: str) -> None:
    resources = session.config.resources
    worker = tune.with_resources(TrialWorker, {"cpu": resources.cpus, "gpu": resources.gpus})
    tuner = tune.Tuner(
        worker,
        param_space=dict(task),
        tune_config=TuneConfig(
            search_alg=SessionSearcher(session),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=_key,
            trial_name_creator=_key,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(records),
            callbacks=[SessionCallback(session)],
            failure_config=FailureConfig(max_failures=session.config.search.retries),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    tuner.fit()
    shutil.rmtree(records, ignore_errors=True)


def _key(trial: Any) -> str:
    return trial.config["key"]
