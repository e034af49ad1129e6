"""The runs of one search in an MLflow store. Every call raises what the store raises."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from nas.pareto.result import Result
from nas.tracking.client import BATCH, log, tagged
from nas.tracking.metrics import (
    CHANCE,
    curve_points,
    final_metrics,
    fingerprint,
    has_no_more,
    params,
    result_tags,
    safe,
)
from nas.tracking.search import Search
from nas.tracking.search_run import RECORD_TAG, SearchRun
from nas.tracking.sync_report import SyncReport
from trainers.counted import counted

KEY_TAG = "segnas.key"
PARENT_TAG = "mlflow.parentRunId"
FRONT_TAG = "front"  # `true` or `false` once the trial has ended
BASELINE_TAG = "baseline"  # the name of a network that was trained beside the trials
RANK_TAG = "pareto_rank"  # of a complete one, 1 on the front
OURS = (FRONT_TAG, RANK_TAG, RECORD_TAG)  # the last once all of its result was sent
# A candidate that was stopped early ended as planned; its state is a tag, and it has no `dice`.
STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "infeasible": "FAILED"}

Point = tuple[str, int, str]
"""Name, step and value of a metric; the value as text, for a NaN equals itself."""


@dataclass
class Child:
    """What MLflow holds of one trial.

    `tags`: those of `OURS` that it has. `empty`: whether the run was just made. `points`: the
    points that its curves have, by the curve's name.
    """

    run_id: str
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict)
    empty: bool = False
    points: dict[str, set[Point]] = field(default_factory=dict)


@dataclass
class Runs:
    """The parent run of a search and, by `Result.name`, the nested runs of its trials.

    Runs are found again by their tags, and what they hold is looked up before more is sent, so that
    a retry or a resumed search makes neither a second run nor a second point of a curve.
    """

    client: MlflowClient
    parent: SearchRun
    search: Search
    children: dict[str, Child] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        client: MlflowClient,
        experiment: str,
        artifacts: str | None,
        search: Search,
        folder: str,
    ) -> Runs:
        """Make the store, the experiment (with its `artifacts` URI) and the runs, or find them.

        `folder`: where the search lies, told by its run.
        What was deleted of them is restored, and named in the parent's `restored`.
        """
        parent = SearchRun.open(client, experiment, artifacts, search, folder)
        runs = cls(client, parent, search)
        place = (client, parent.experiment_id, PARENT_TAG, parent.run_id)
        active, deleted = (_by_key(tagged(*place, deleted=gone)) for gone in (False, True))
        deleted = {key: run for key, run in deleted.items() if key not in active}
        for run in deleted.values():
            client.restore_run(run.info.run_id)
        if deleted:
            parent.restored.append(f"{counted(len(deleted), 'run')} of trials")
        for key, run in (active | deleted).items():
            held = {name: run.data.tags[name] for name in OURS if name in run.data.tags}
            runs.children[key] = Child(run.info.run_id, run.info.status, held)
        return runs

    def epoch(
        self,
        key: str,
        number: int,
        architecture: Mapping[str, Any],
        epoch: int,
        metrics: Mapping[str, float],
        baseline: str = "",
    ) -> None:
        """Log the metrics of one epoch as `epoch/<name>`, unless the run has that epoch."""
        chosen = {} if key in self.children else params(architecture)
        child = self._child(key, number, baseline)
        if child.status != "RUNNING":
            self.client.update_run(child.run_id, "RUNNING")
            child.status = "RUNNING"
        named = {safe(f"epoch/{name}"): float(value) for name, value in metrics.items()}
        curve = "epoch/dice" if "dice" in metrics else "epoch/loss"
        point = (curve, epoch, repr(named.get(curve)))
        known = self._points(child, curve)
        if point not in known:
            points = [(name, epoch, value) for name, value in named.items()]
            log(self.client, child.run_id, metrics=points, params=chosen)
            known.add(point)

    def end(self, result: Result, rank: int | None, sent: SyncReport) -> None:
        """Send what a trial's run lacks of its result, end it, and count that in `sent`."""
        made = result.name not in self.children
        child = self._child(result.name, result.number, result.baseline, bool(result.compressed))
        status = STATUS[result.state]
        wanted = {**_rank_tags(rank), RECORD_TAG: fingerprint(result)}
        if child.status == status and child.tags == wanted:
            return
        epochs = 0
        if child.tags.get(RECORD_TAG) != wanted[RECORD_TAG]:
            epochs = self._complete(child, result, wanted)
        self._rank(child, rank)
        if child.status != status:
            self.client.set_terminated(child.run_id, status)
        child.status = status
        child.points.clear()
        sent.made += made
        sent.completed += not made
        sent.epochs += epochs

    def _complete(self, child: Child, result: Result, tags: Mapping[str, str]) -> int:
        """Log what the run lacks of a result, then `tags`; returns the epochs among that.

        MLflow forgets no metric: what the result has no more, since it was revised, is NaN.
        """
        curve = curve_points(result, self.search.validate_every)
        known = self._points(child, "epoch/dice")
        points = [("epoch/dice", epoch, float(dice)) for epoch, dice in curve]
        missing = [point for point in points if (*point[:2], repr(point[2])) not in known]
        old = None if child.empty else self.client.get_run(child.run_id).data
        values = final_metrics(result)
        # A compressed network may be replaced by one of fewer epochs, and the last step counts.
        step = 0 if result.compressed else result.epochs
        latest = {name: repr(v) for name, v in old.metrics.items()} if old else {}
        final = [(n, step, v) for n, v in values.items() if latest.get(n) != repr(v)]
        final += [
            (name, 0 if name == CHANCE else step, math.nan)
            for name, value in latest.items()
            if value != repr(math.nan) and has_no_more(name, values)
        ]
        if old and "reason" in old.tags and not result.reason:  # stopped once, complete now
            self.client.delete_tag(child.run_id, "reason")
        metrics = missing + final
        log(self.client, child.run_id, metrics=metrics[:-BATCH])
        log(
            self.client,
            child.run_id,
            metrics=metrics[-BATCH:],
            # Again, for a run whose server was lost just after it was made.
            params=params(result.architecture),
            tags={**result_tags(result), **tags},
        )
        child.tags |= tags
        child.empty = False
        return len(missing)

    def rank(self, ranks: Mapping[str, int]) -> int:
        """Set the tags of ended trials whose rank has changed; who is not in `ranks` has none.

        Returns how many have changed.
        """
        ended = [key for key, child in self.children.items() if FRONT_TAG in child.tags]
        return sum(self._rank(self.children[key], ranks.get(key)) for key in ended)

    def _rank(self, child: Child, rank: int | None) -> bool:
        tags = _rank_tags(rank)
        if all(child.tags.get(name) == tags.get(name) for name in (FRONT_TAG, RANK_TAG)):
            return False
        log(self.client, child.run_id, tags=tags)
        if RANK_TAG in child.tags and rank is None:
            self.client.delete_tag(child.run_id, RANK_TAG)
            del child.tags[RANK_TAG]
        child.tags |= tags
        return True

    def chances(self, chances: Mapping[str, float]) -> None:
        """Log the `chance` of trials to be on the front, by key, where the run has another one."""
        for key, chance in chances.items():
            if child := self.children.get(key):
                old = self.client.get_run(child.run_id).data.metrics.get(CHANCE)
                if repr(old) != repr(chance):
                    log(self.client, child.run_id, metrics=[(CHANCE, 0, chance)])

    def kill_orphans(self) -> int:
        """Mark runs that are still RUNNING as KILLED, where no search goes on with them.

        Returns how many they are.
        """
        orphans = [child for child in self.children.values() if child.status == "RUNNING"]
        for child in orphans:
            self.client.set_terminated(child.run_id, "KILLED")
            child.status = "KILLED"
        return len(orphans)

    def _child(self, name: str, number: int, baseline: str, compressed: bool = False) -> Child:
        if name not in self.children:
            told = {BASELINE_TAG: baseline} if baseline else {}
            title = f"compressed-{name}" if compressed else f"trial-{number}-{name}"
            run = self.client.create_run(
                self.parent.experiment_id,
                run_name=f"baseline-{baseline}" if baseline else title,
                tags={PARENT_TAG: self.parent.run_id, KEY_TAG: name, "key": name, **told},
            )
            self.children[name] = Child(run.info.run_id, empty=True)
        return self.children[name]

    def _points(self, child: Child, curve: str) -> set[Point]:
        if curve not in child.points:
            sent = [] if child.empty else self.client.get_metric_history(child.run_id, curve)
            child.points[curve] = {(curve, point.step, repr(point.value)) for point in sent}
        return child.points[curve]


def _by_key(runs: Iterable[Run]) -> dict[str, Run]:
    return {run.data.tags[KEY_TAG]: run for run in runs if KEY_TAG in run.data.tags}


def _rank_tags(rank: int | None) -> dict[str, str]:
    place = {} if rank is None else {RANK_TAG: str(rank)}
    return {FRONT_TAG: "true" if rank == 1 else "false", **place}
