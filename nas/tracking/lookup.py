"""Runs that are in a store already, found by their tags."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Any

from nas.config.tracking import TrackingConfig
from nas.tracking.mlflow_private import follow_move
from nas.tracking.store import (
    ARTIFACTS,
    STORE,
    plain,
    prepare_mlflow,
    server_errors,
    store_uri,
    without_password,
)
from nas.tracking.timed_calls import HOLD, HeardClient, TimedCalls
from nas.tracking.tracked_runs import TrackedRuns
from trainers.errors import UserError


def find_run(
    config: TrackingConfig, directory: Path, search_id: str, key: str | None = None
) -> tuple[str, str]:
    """The experiment and the run of a search, or of its trial of this `key`.

    Raises UserError where the search was not tracked, and where the store has no such run (a
    deleted one is none) or does not answer.
    """
    if not config.enabled:
        raise UserError(f"{directory} was searched without MLflow (tracking.enabled: false)")
    sync = f"segnas sync {shlex.quote(str(directory))}"
    if not config.uri and not (directory / STORE).is_file():
        raise UserError(f"{directory / STORE} is missing; make it with: {sync}")
    run, trials = _ask(config, directory, search_id, trials=key is not None)
    if key is not None:
        run = trials.get(key)
    if run is None:
        raise UserError(f"MLflow has no record of {key or directory}; send it with: {sync}")
    return run.info.experiment_id, run.info.run_id


def find_trial_runs(config: TrackingConfig, directory: Path, search_id: str) -> TrackedRuns:
    """The runs of a search's trials on an MLflow server; none where it has no server.

    Raises UserError where the server does not answer.
    """
    if not (config.enabled and config.uri and config.uri.startswith("http")):
        return TrackedRuns()
    run, trials = _ask(config, directory, search_id)
    if run is None:
        return TrackedRuns()
    ids = {key: trial.info.run_id for key, trial in trials.items()}
    return TrackedRuns.at(config.uri, run.info.experiment_id, ids)


def _ask(
    config: TrackingConfig, directory: Path, search_id: str, trials: bool = True
) -> tuple[Any, dict[str, Any]]:
    """The run of a search, None without one, and if asked for those of its `trials` by their keys.

    Raises UserError where the store does not answer.
    """
    prepare_mlflow()
    home, calls = directory.resolve(), TimedCalls()
    found: list[tuple[Any, dict[str, Any]]] = []
    try:
        if not config.uri:
            follow_move(home / STORE, config.experiment, home / ARTIFACTS)
        find = partial(_find, calls, config, directory, search_id, trials)
        calls.run(lambda: found.append(find()), silence=HOLD)
    except server_errors() as error:
        uri = without_password(store_uri(config, directory))
        raise UserError(f"MLflow at {uri} failed: {plain(error)}") from None
    return found[0]


def _find(
    calls: TimedCalls, config: TrackingConfig, directory: Path, search_id: str, trials: bool
) -> tuple[Any, dict[str, Any]]:
    from mlflow import MlflowClient

    from nas.tracking.client import tagged
    from nas.tracking.search_run import SEARCH_TAG
    from nas.tracking.trial_runs import KEY_TAG, PARENT_TAG

    client: Any = HeardClient(MlflowClient(store_uri(config, directory)), calls.hear)
    known = client.get_experiment_by_name(config.experiment)
    place = known.experiment_id if known else ""
    run = next(tagged(client, place, SEARCH_TAG, search_id), None) if known else None
    if run is None or not trials:
        return run, {}
    children = tagged(client, place, PARENT_TAG, run.info.run_id)
    return run, {child.data.tags.get(KEY_TAG, ""): child for child in children}
