"""Calls of MLflow's client that the runs of a search share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

# MLflow takes the latest of a metric's values by their times: a clock that is set back meanwhile
# would have it keep the old one. Within a process time goes on evenly.
_STARTED = time.time() - time.monotonic()
BATCH = 500  # metrics that MLflow takes at once together with tags, which it writes after them


def log(
    client: MlflowClient,
    run_id: str,
    *,
    metrics: Sequence[tuple[str, int, float]] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log (name, step, value) metrics, parameters and tags, in this order, at once."""
    now = int((_STARTED + time.monotonic()) * 1000)
    client.log_batch(
        run_id,
        [Metric(name, value, now, step) for name, step, value in metrics],
        [Param(name, value) for name, value in (params or {}).items()],
        [RunTag(name, value) for name, value in (tags or {}).items()],
    )


def tagged(
    client: MlflowClient, experiment_id: str, tag: str, value: str, deleted: bool = False
) -> Iterator[Run]:
    """All runs of the experiment whose tag has this value; those `deleted` in place of the rest."""
    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    token = None
    while token != "":
        page = client.search_runs(
            [experiment_id], f"tags.`{tag}` = '{value}'", view, page_token=token
        )
        yield from page
        token = page.token or ""


@contextmanager
def any_store() -> Iterator[None]:
    """Artifact stores (S3, GCS, Azure, ...) raise errors of their own libraries: make them one."""
    try:
        yield
    except Exception as error:
        raise MlflowException(f"artifacts cannot be stored: {error}") from error
