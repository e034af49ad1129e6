"""The runs of one search in an MLflow store: what is written where. Raises as the store does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from nas.result import Result
from nas.tracking.config import Search
from nas.tracking.report import SyncReport
from nas.tracking.values import curve_points, final_metrics, fingerprint, params, safe

SEARCH_TAG = "segnas.search"
KEY_TAG = "segnas.key"
RECORD_TAG = "segnas.record"  # of a trial: what its run holds; of the search: its files
PARENT_TAG = "mlflow.parentRunId"
BATCH = 500  # metrics that MLflow takes at once together with tags, which it writes after them
# A candidate that was stopped early ended as planned; its state is a tag, and it has no `dice`.
STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "infeasible": "FAILED"}

Point = tuple[str, int, str]
"""Name, step and value of a metric; the value as text, for a NaN equals itself."""


@dataclass
class Child:
    """What MLflow holds of one trial. `front` is `true` or `false` once the trial has ended.

    `record`: the fingerprint of its result, once all of that was sent. `points`: those of its
    curves that are known to be there, by the name of the curve.
    """

    run_id: str
    status: str = "RUNNING"
    front: str | None = None
    record: str | None = None
    empty: bool = False
    points: dict[str, set[Point]] = field(default_factory=dict)


@dataclass
class Runs:
    """The parent run of a search and, by architecture key, the nested runs of its trials.

    Runs are found again by their tags, and what they hold is looked up before more is sent, so that
    a retry or a resumed search makes neither a second run nor a second point of a curve.
    """

    client: MlflowClient
    experiment_id: str
    run_id: str
    search: Search
    children: dict[str, Child] = field(default_factory=dict)

    @classmethod
    def open(cls, uri: str, experiment: str, artifacts: str | None, search: Search) -> Runs:
        """Make the store, the experiment (with its `artifacts` URI) and the runs, or find them."""
        client = MlflowClient(uri)
        known = client.get_experiment_by_name(experiment)
        home = known.experiment_id if known else client.create_experiment(experiment, artifacts)
        found = next(_tagged(client, home, SEARCH_TAG, search.id), None)
        run = found or client.create_run(home, run_name=search.name, tags={SEARCH_TAG: search.id})
        runs = cls(client, home, run.info.run_id, search)
        if search.running:
            client.update_run(runs.run_id, "RUNNING")
        # A parameter cannot change in MLflow: a resumed search keeps its first ones.
        wanted = params(search.params)
        runs._log(runs.run_id, params={n: wanted[n] for n in wanted if n not in run.data.params})
        with _any_store():
            client.log_text(runs.run_id, search.config_yaml, "config.yaml")
        for child in _tagged(client, home, PARENT_TAG, runs.run_id):
            tags, info = child.data.tags, child.info
            if KEY_TAG in tags:
                runs.children[tags[KEY_TAG]] = Child(
                    info.run_id, info.status, tags.get("front"), tags.get(RECORD_TAG)
                )
        return runs

    def epoch(
        self,
        key: str,
        number: int,
        architecture: Mapping[str, Any],
        epoch: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Log the metrics of one epoch as `epoch/<name>`, unless the run has that epoch."""
        told = {} if key in self.children else params(architecture)
        child = self._child(key, number)
        if child.status != "RUNNING":
            self.client.update_run(child.run_id, "RUNNING")
            child.status = "RUNNING"
        named = {safe(f"epoch/{name}"): float(value) for name, value in metrics.items()}
        curve = "epoch/dice" if "dice" in metrics else "epoch/loss"
        point = (curve, epoch, repr(named.get(curve)))
        known = self._points(child, curve)
        if point not in known:
            points = [(name, epoch, value) for name, value in named.items()]
            self._log(child.run_id, metrics=points, params=told)
            known.add(point)

    def end(self, result: Result, front: bool) -> SyncReport:
        """Make a trial's run hold all of its result, and end it. Returns what was missing."""
        made = result.key not in self.children
        child = self._child(result.key, result.number)
        status, flag, record = STATUS[result.state], _flag(front), fingerprint(result)
        if (child.status, child.front, child.record) == (status, flag, record):
            return SyncReport()
        epochs, tags = 0, {"front": flag, RECORD_TAG: record}
        if child.record != record:
            epochs = self._complete(child, result, tags)
        else:
            self._log(child.run_id, tags=tags)
        if child.status != status:
            self.client.set_terminated(child.run_id, status)
        child.status, child.front, child.record = status, flag, record
        child.points.clear()
        return SyncReport(made=int(made), completed=int(not made), epochs=epochs)

    def _complete(self, child: Child, result: Result, tags: Mapping[str, str]) -> int:
        """Log what the run lacks of a result, then `tags`; returns the epochs among that."""
        curve = curve_points(result, self.search.validate_every)
        known = self._points(child, "epoch/dice")
        points = [("epoch/dice", epoch, float(dice)) for epoch, dice in curve]
        missing = [point for point in points if (*point[:2], repr(point[2])) not in known]
        old = None if child.empty else self.client.get_run(child.run_id).data
        values = final_metrics(result)
        latest = {name: repr(v) for name, v in old.metrics.items()} if old else {}
        final = [(n, result.epochs, v) for n, v in values.items() if latest.get(n) != repr(v)]
        reason = {"reason": result.reason} if result.reason else {}
        if old and "reason" in old.tags and not result.reason:  # stopped once, complete now
            self.client.delete_tag(child.run_id, "reason")
        metrics = missing + final
        self._log(child.run_id, metrics=metrics[:-BATCH])
        self._log(
            child.run_id,
            metrics=metrics[-BATCH:],
            # Again, for a run whose server was lost just after it was made.
            params=params(result.architecture),
            tags={"state": result.state, **reason, **tags},
        )
        child.empty = False
        return len(missing)

    def tag_front(self, keys: Collection[str]) -> SyncReport:
        """Set the tag of those ended trials that joined or left the front."""
        changed = 0
        for key, child in self.children.items():
            front = _flag(key in keys)
            if child.front not in (None, front):
                self.client.set_tag(child.run_id, "front", front)
                child.front = front
                changed += 1
        return SyncReport(completed=changed)

    def kill_orphans(self) -> SyncReport:
        """End the runs of trials that are under way, for nobody goes on with them now."""
        orphans = [child for child in self.children.values() if child.status == "RUNNING"]
        for child in orphans:
            self.client.set_terminated(child.run_id, "KILLED")
            child.status = "KILLED"
        return SyncReport(killed=len(orphans))

    def finish(
        self, files: Sequence[Path], summary: Mapping[str, float], status: str | None
    ) -> SyncReport:
        """Upload `files`, log `summary` and end the parent run, as far as that was not done.

        `status` None: KILLED, unless the run had ended.
        """
        killed = self.kill_orphans()
        run = self.client.get_run(self.run_id)
        if status is None:
            status = "KILLED" if run.info.status == "RUNNING" else run.info.status
        old = {name: repr(value) for name, value in run.data.metrics.items()}
        news = [(safe(n), 0, float(v)) for n, v in summary.items()]
        news = [point for point in news if old.get(point[0]) != repr(point[2])]
        with _any_store():
            record = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
            changed = bool(files) and run.data.tags.get(RECORD_TAG) != record
            if changed:
                for file in files:
                    self.client.log_artifact(self.run_id, str(file))
        self._log(self.run_id, metrics=news, tags={RECORD_TAG: record} if changed else {})
        if run.info.status != status:
            self.client.set_terminated(self.run_id, status)
        closed = bool(news) or changed or run.info.status != status
        return killed + SyncReport(closed=int(closed))

    def _child(self, key: str, number: int) -> Child:
        if key not in self.children:
            run = self.client.create_run(
                self.experiment_id,
                run_name=f"trial-{number}-{key}",
                tags={PARENT_TAG: self.run_id, KEY_TAG: key, "key": key},
            )
            self.children[key] = Child(run.info.run_id, empty=True)
        return self.children[key]

    def _points(self, child: Child, curve: str) -> set[Point]:
        if curve not in child.points:
            told = [] if child.empty else self.client.get_metric_history(child.run_id, curve)
            child.points[curve] = {(curve, point.step, repr(point.value)) for point in told}
        return child.points[curve]

    def _log(
        self,
        run_id: str,
        *,
        metrics: Sequence[tuple[str, int, float]] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            [Metric(name, value, now, step) for name, step, value in metrics],
            [Param(name, value) for name, value in (params or {}).items()],
            [RunTag(name, value) for name, value in (tags or {}).items()],
        )


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


def _flag(value: bool) -> str:
    return "true" if value else "false"
