"""Runs that are in a store already, found by their tags."""

from __future__ import annotations

from pathlib import Path

from nas.config.tracking import TrackingConfig
from nas.tracking.description import front_path
from nas.tracking.mlflow_private import follow_move
from nas.tracking.store import ARTIFACTS, STORE, plain, prepare_mlflow, server_errors, store_uri
from trainers.errors import UserError


def front_page_path(config: TrackingConfig, directory: Path, search_id: str) -> str:
    """Where the search's front is under the address of MLflow. Raises as `find_run` does."""
    return front_path(*find_run(config, directory, search_id))


def find_run(
    config: TrackingConfig, directory: Path, search_id: str, key: str | None = None
) -> tuple[str, str]:
    """The experiment and the run of a search, or of its trial of this `key`.

    Raises UserError where the search was not tracked, and where the store has no such run or does
    not answer.
    """
    if not config.enabled:
        raise UserError(f"{directory} was searched without MLflow (tracking.enabled: false)")
    if not config.uri and not (directory / STORE).is_file():
        raise UserError(f"{directory / STORE} is missing; make it with: segnas sync {directory}")
    prepare_mlflow()
    from mlflow import MlflowClient

    from nas.tracking.client import tagged
    from nas.tracking.search_run import SEARCH_TAG
    from nas.tracking.trial_runs import KEY_TAG, PARENT_TAG

    home = directory.resolve()
    try:
        if not config.uri:
            follow_move(home / STORE, config.experiment, home / ARTIFACTS)
        client = MlflowClient(store_uri(config, directory))
        known = client.get_experiment_by_name(config.experiment)
        place = known.experiment_id if known else ""
        run = next(tagged(client, place, SEARCH_TAG, search_id), None) if known else None
        if run and key:
            trials = tagged(client, place, PARENT_TAG, run.info.run_id)
            run = next((trial for trial in trials if trial.data.tags.get(KEY_TAG) == key), None)
    except server_errors() as error:
        raise UserError(f"MLflow does not answer: {plain(error)}") from None
    if run is None:
        raise UserError(
            f"MLflow has no record of {key or directory}; send it with: segnas sync {directory}"
        )
    return run.info.experiment_id, run.info.run_id
