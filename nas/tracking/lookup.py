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
    prepare_mlflow()
    home, calls, found = directory.resolve(), TimedCalls(), []
    try:
        if not config.uri:
            follow_move(home / STORE, config.experiment, home / ARTIFACTS)
        find = partial(_find, calls, config, directory, search_id, key)
        calls.run(lambda: found.append(find()), silence=HOLD)
    except server_errors() as error:
        uri = without_password(store_uri(config, directory))
        raise UserError(f"MLflow at {uri} failed: {plain(error)}") from None
    if found == [None]:
        raise UserError(f"MLflow has no record of {key or directory}; send it with: {sync}")
    return found[0].info.experiment_id, found[0].info.run_id


def _find(
    calls: TimedCalls, config: TrackingConfig, directory: Path, search_id: str, key: str | None
) -> Any:
    """The run, or None."""
    from mlflow import MlflowClient

    from nas.tracking.client import tagged
    from nas.tracking.search_run import SEARCH_TAG
    from nas.tracking.trial_runs import KEY_TAG, PARENT_TAG

    client: Any = HeardClient(MlflowClient(store_uri(config, directory)), calls.hear)
    known = client.get_experiment_by_name(config.experiment)
    place = known.experiment_id if known else ""
    run = next(tagged(client, place, SEARCH_TAG, search_id), None) if known else None
    if run and key:
        trials = tagged(client, place, PARENT_TAG, run.info.run_id)
        run = next((trial for trial in trials if trial.data.tags.get(KEY_TAG) == key), None)
    return run
