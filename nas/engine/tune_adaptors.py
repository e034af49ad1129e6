"""What Ray Tune is given to talk to a session: a searcher, a scheduler, a callback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.engine.cluster import Cluster
from nas.engine.trial_source import TrialSource
from nas.engine.worker_failure import failure_of

COUNT = 2.0  # seconds between counts of a cluster's nodes


class _Live:
    """Holds the session for Ray, which pickles what it is given: the copies hold none."""

    session: TrialSource

    def __init__(self, session: TrialSource) -> None:
        super().__init__()
        self.session = session

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("session", "cluster")}


class SessionSearcher(_Live, Searcher):
    """Gives Ray the session's candidates, and the session the ends of trials."""

    def __init__(
        self, session: TrialSource, cluster: Cluster, failures: Mapping[str, str | None]
    ) -> None:
        """`failures`: see `SessionScheduler`, which hears of them first."""
        super().__init__(session)
        self.cluster, self._failures = cluster, failures

    def suggest(self, trial_id: str) -> Any:
        """The next candidate; None while there is none, FINISHED when there will be none."""
        candidate = self.session.start(trial_id)
        if candidate is None:
            return Searcher.FINISHED if self.session.over else None
        record = json.dumps(candidate.record)
        told = {"key": candidate.name, "record": record, "seed": candidate.seed}
        return {**told, "attempt": trial_id}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial is done or was stopped, or its worker died."""
        if error:
            cause = self._failures.get(trial_id)
            counts = not self.cluster.loses_a_node()
            self.session.on_worker_lost(trial_id, counts, cause)
        else:
            self.session.end(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


class SessionScheduler(_Live, FIFOScheduler):
    """Gives the session every report of a trial, the last one too, and stops it as it says.

    `reported`: the trials that reported anything. `failures`: by trial why its worker was lost,
    None where it died.
    """

    def __init__(self, session: TrialSource) -> None:
        super().__init__(session)
        self.reported: set[str] = set()
        self.failures: dict[str, str | None] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """One step of a worker is done."""
        self.reported.add(trial.trial_id)
        goes_on = self.session.report(trial.trial_id, result["report"])
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A worker is lost; the searcher hears of it next, and not why."""
        self.failures[trial.trial_id] = failure_of(trial)


class SessionTicker(_Live, Callback):
    """Gives the session the time of day and the cluster's size."""

    def __init__(self, session: TrialSource, cluster: Cluster) -> None:
        super().__init__(session)
        self.cluster = cluster
        self._counted = monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Ten times a second."""
        if monotonic() - self._counted > COUNT:
            self._counted = monotonic()
            self.cluster.check_alive()
            if not self.cluster.here:
                self.session.resize(self.cluster.room)
        self.session.tick()
