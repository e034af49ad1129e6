"""The runs of one search in an MLflow store: what is written where. Raises as the store does."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from nas.result import Result
from nas.tracking.config import Search

SEARCH_TAG = "segnas.search"
KEY_TAG = "segnas.key"
PARENT_TAG = "mlflow.parentRunId"
VALUE_LENGTH = 500
SPREAD = ("mean_ms", "p90_ms", "p99_ms", "noise")  # of a latency, beside its median


@dataclass
class Child:
    """What MLflow holds of one trial. `front` is `true` or `false` once the trial has ended."""

    run_id: str
    status: str = "RUNNING"
    front: str | None = None


@dataclass
class Runs:
    """The parent run of a search and, by architecture key, the nested runs of its trials.

    Runs are found again by their tags, so that a retry or a resumed search never makes a second.
    """

    client: MlflowClient
    experiment_id: str
    run_id: str
    children: dict[str, Child] = field(default_factory=dict)

    @classmethod
    def open(cls, uri: str, experiment: str, artifacts: str | None, search: Search) -> Runs:
        """Make the store, the experiment (with its `artifacts` URI) and the runs, or find them."""
        client = MlflowClient(uri)
        known = client.get_experiment_by_name(experiment)
        home = known.experiment_id if known else client.create_experiment(experiment, artifacts)
        found = next(_tagged(client, home, SEARCH_TAG, search.id), None)
        run = found or client.create_run(home, run_name=search.name, tags={SEARCH_TAG: search.id})
        runs = cls(client, home, run.info.run_id)
        client.update_run(runs.run_id, "RUNNING")
        # A parameter cannot change in MLflow: a resumed search keeps its first ones.
        new = {name: v for name, v in search.params.items() if _safe(name) not in run.data.params}
        runs._log(runs.run_id, params=new)
        with _any_store():
            client.log_text(runs.run_id, search.config_yaml, "config.yaml")
        for child in _tagged(client, home, PARENT_TAG, runs.run_id):
            tags, info = child.data.tags, child.info
            runs.children[tags[KEY_TAG]] = Child(info.run_id, info.status, tags.get("front"))
        return runs

    def epoch(
        self,
        key: str,
        number: int,
        architecture: Mapping[str, Any],
        epoch: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Log the metrics of one epoch as `epoch/<name>`."""
        child = self._child(key, number, architecture)
        if child.status != "RUNNING":
            self.client.update_run(child.run_id, "RUNNING")
            child.status = "RUNNING"
        named = {f"epoch/{name}": value for name, value in metrics.items()}
        self._log(child.run_id, metrics=named, step=epoch)

    def end(self, result: Result, front: bool) -> None:
        """Log the final objectives of a trial and end its run."""
        child = self._child(result.key, result.number, result.architecture)
        tags = {"state": result.state, "front": _flag(front)}
        if result.reason:
            tags["reason"] = result.reason
        self._log(
            child.run_id,
            metrics=final_metrics(result),
            step=result.epochs,
            # Again, for a run whose server was lost just after it was made.
            params=flattened(result.architecture),
            tags=tags,
        )
        child.status = "FINISHED" if result.state == "complete" else "FAILED"
        self.client.set_terminated(child.run_id, child.status)
        child.front = tags["front"]

    def tag_front(self, keys: Collection[str]) -> None:
        """Set the tag of those ended trials that joined or left the front."""
        for key, child in self.children.items():
            front = _flag(key in keys)
            if child.front not in (None, front):
                self.client.set_tag(child.run_id, "front", front)
                child.front = front

    def finish(self, files: Iterable[Path], summary: Mapping[str, float], status: str) -> None:
        """Upload `files`, log `summary` and end the parent run; trials still running are KILLED."""
        for child in self.children.values():
            if child.status == "RUNNING":
                self.client.set_terminated(child.run_id, "KILLED")
                child.status = "KILLED"
        self._log(self.run_id, metrics=summary)
        with _any_store():
            for file in files:
                self.client.log_artifact(self.run_id, str(file))
        self.client.set_terminated(self.run_id, status)

    def _child(self, key: str, number: int, architecture: Mapping[str, Any]) -> Child:
        if key not in self.children:
            run = self.client.create_run(
                self.experiment_id,
                run_name=f"trial-{number}-{key}",
                tags={PARENT_TAG: self.run_id, KEY_TAG: key, "key": key},
            )
            self.children[key] = Child(run.info.run_id)
            self._log(run.info.run_id, params=flattened(architecture))
        return self.children[key]

    def _log(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            [Metric(_safe(name), float(v), now, step) for name, v in (metrics or {}).items()],
            [Param(_safe(name), str(v)[:VALUE_LENGTH]) for name, v in (params or {}).items()],
            [RunTag(name, value) for name, value in (tags or {}).items()],
        )


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings and sequences under dotted names, `tokens.0.prune`."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for name, part in items:
        leaves |= flattened(part, f"{prefix}.{name}" if prefix else str(name))
    return leaves


def final_metrics(result: Result) -> dict[str, float]:
    """The known objectives of an ended trial, `dice_<class>` for each class, `latency/<name>` for
    the rest of its distribution, what was measured."""
    values = {
        "dice": result.dice,
        "params": result.params,
        "macs": result.macs,
        "memory": result.memory,
        "latency_ms": result.latency_ms,
        **{f"latency/{name}": (result.latency or {}).get(name) for name in SPREAD},
        "train_seconds": result.train_seconds,
        **{f"dice_{name}": value for name, value in result.dice_per_class.items()},
        **result.measured,
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def _tagged(client: MlflowClient, experiment_id: str, tag: str, value: str) -> Iterator[Run]:
    token = None
    while token != "":
        page = client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", page_token=token)
        yield from page
        token = page.token or ""


@contextmanager
def _any_store() -> Iterator[None]:
    """Artifact stores (S3, GCS, Azure, ...) raise errors of their own libraries: make them one."""
    try:
        yield
    except Exception as error:
        raise MlflowException(f"artifacts cannot be stored: {error}") from error


def _safe(name: str) -> str:
    return re.sub(r"[^\w\-./: ]", "_", name)


def _flag(value: bool) -> str:
    return "true" if value else "false"
