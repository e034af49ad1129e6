"""What an MLflow store of sqlite holds of a search."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from time import thread_time

from mlflow import MlflowClient

from nas.tracking.search_run import SEARCH_TAG
from nas.tracking.store import prepare_mlflow, sqlite_uri
from nas.tracking.trial_runs import KEY_TAG

EXPERIMENT = "segnas"


def run_starts(store: Path) -> dict[str, list[float]]:
    """When the runs of each network began, time of day, by key; the search's own under `search`."""
    prepare_mlflow()
    client = MlflowClient(sqlite_uri(store.resolve()))
    known = client.get_experiment_by_name(EXPERIMENT)
    starts: dict[str, list[float]] = defaultdict(list)
    token: str | None = None
    while known and token != "":
        page = client.search_runs([known.experiment_id], page_token=token)
        for run in page:
            name = "search" if SEARCH_TAG in run.data.tags else run.data.tags.get(KEY_TAG, "?")
            starts[name].append(run.info.start_time / 1000)
        token = page.token or ""
    return dict(starts)


def query_seconds(store: Path) -> float:
    """Of the question that MLflow's page of runs asks: the newest hundred, by their start.

    CPU seconds, for the machine is busy with the search.
    """
    prepare_mlflow()
    client = MlflowClient(sqlite_uri(store.resolve()))
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is None:
        return 0.0
    started = thread_time()
    client.search_runs(
        [known.experiment_id], max_results=100, order_by=["attributes.start_time DESC"]
    )
    return thread_time() - started
