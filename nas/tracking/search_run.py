"""The parent run: the search as a whole. Every call raises what the store raises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from mlflow import MlflowClient

from nas.pareto.hypervolume import missing_points
from nas.pareto.result import Result
from nas.tracking.client import BATCH, any_store, log, tagged
from nas.tracking.description import note, trials_view
from nas.tracking.metrics import params, safe
from nas.tracking.mlflow_private import VIEW_TAG
from nas.tracking.search import Search

SEARCH_TAG = "segnas.search"
FOLDER_TAG = "folder"  # and its machine: searches of one name look alike otherwise
RECORD_TAG = "segnas.record"  # of a trial: what its run holds; of the search: its files
NOTE_TAG = "segnas.note"  # the fingerprint of the description that was written last
DESCRIPTION = "mlflow.note.content"
HYPERVOLUME = "hypervolume"
PART_SECONDS = 1.0  # that hypervolumes are worked out for, before what there is is sent
PIECE = 2**16  # bytes of a file at a time
SUPERNET = "supernet"  # before the names of the metrics of weights that candidates share


@dataclass
class SearchRun:
    """The run of a search, found again by its tag.

    `record`: the fingerprint of the files it holds. `volumes`: the hypervolumes it holds, by the
    number of ended trials; None until they have been read. `supernet_epochs`: of shared weights,
    the same. `restored`: what somebody had deleted.
    """

    client: MlflowClient
    experiment_id: str
    run_id: str
    search: Search
    record: str | None = None
    volumes: dict[int, float] | None = field(default=None)
    supernet_epochs: int | None = None
    restored: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        client: MlflowClient,
        experiment: str,
        artifacts: str | None,
        search: Search,
        folder: str,
    ) -> SearchRun:
        """Make the experiment (with its `artifacts` URI) and the run, or find them.

        Where they were deleted they are restored. `folder`: where the search lies, for its tag.
        """
        news = []
        known = client.get_experiment_by_name(experiment)
        home = known.experiment_id if known else client.create_experiment(experiment, artifacts)
        if known and known.lifecycle_stage == "deleted":
            client.restore_experiment(home)  # with all its runs
            news.append(f"the experiment {experiment}")
        place = (client, home, SEARCH_TAG, search.id)
        run = next(tagged(*place), None)
        if run is None and (run := next(tagged(*place, deleted=True), None)):
            client.restore_run(run.info.run_id)
            news.append("the run of the search")
        run = run or client.create_run(home, run_name=search.name, tags={SEARCH_TAG: search.id})
        opened = cls(client, home, run.info.run_id, search, run.data.tags.get(RECORD_TAG))
        opened.restored = news
        if search.running:
            client.update_run(opened.run_id, "RUNNING")
        # A parameter cannot change in MLflow: a resumed search keeps its first ones.
        wanted = params(search.params)
        lacking = {name: wanted[name] for name in wanted if name not in run.data.params}
        moved = run.data.tags.get(FOLDER_TAG) != folder
        log(client, opened.run_id, params=lacking, tags={FOLDER_TAG: folder} if moved else {})
        with any_store():
            client.log_text(opened.run_id, search.config_yaml, "config.yaml")
        tag, view = VIEW_TAG + opened.run_id, trials_view(search.objectives, opened.run_id)
        if known is None or known.tags.get(tag) != view:
            client.set_experiment_tag(home, tag, view)
        return opened

    def grow(self, results: Sequence[Result]) -> None:
        """Log the hypervolume after each of these results, where the run lacks it."""
        if self.volumes is None:
            points = self.client.get_metric_history(self.run_id, HYPERVOLUME)
            points = sorted(points, key=lambda point: (point.step, point.timestamp, point.value))
            self.volumes = {point.step: point.value for point in points}
        known = dict(self.volumes)
        news = missing_points(known, results, self.search.objectives)
        for part in _in_parts(news):
            log(self.client, self.run_id, metrics=[(HYPERVOLUME, *point) for point in part])
            self.volumes |= dict(part)

    def supernet(self, curve: Sequence[Mapping[str, float]]) -> None:
        """Log the metrics of every `epoch` of the shared weights that the run lacks."""
        if self.supernet_epochs is None:
            points = self.client.get_metric_history(self.run_id, f"{SUPERNET}/loss")
            self.supernet_epochs = max((point.step for point in points), default=0)
        news = [
            (safe(f"{SUPERNET}/{name}"), int(metrics["epoch"]), float(value))
            for metrics in curve
            if metrics["epoch"] > self.supernet_epochs
            for name, value in metrics.items()
            if name != "epoch"
        ]
        for start in range(0, len(news), BATCH):
            log(self.client, self.run_id, metrics=news[start : start + BATCH])
        self.supernet_epochs = max([self.supernet_epochs, *(int(m["epoch"]) for m in curve)])

    def show(
        self, files: Sequence[Path], results: Sequence[Result], ranks: Mapping[str, int]
    ) -> bool:
        """Upload `files` if they changed, and describe the search. Returns whether they changed.

        A description that a person wrote stays.
        """
        with any_store():
            record = _fingerprint_of(files)
            changed = bool(files) and record != self.record
            if changed:
                for file in files:
                    self.client.log_artifact(self.run_id, str(file))
        tags = {RECORD_TAG: record} if changed else {}
        text = note(self.search, results, ranks, (self.experiment_id, self.run_id))
        old = self.client.get_run(self.run_id).data.tags
        ours = DESCRIPTION not in old or old.get(NOTE_TAG) == _fingerprint(old[DESCRIPTION])
        if ours and old.get(DESCRIPTION) != text:
            tags |= {DESCRIPTION: text, NOTE_TAG: _fingerprint(text)}
        if tags:
            log(self.client, self.run_id, tags=tags)
        self.record = record if changed else self.record
        return changed

    def finish(self, summary: Mapping[str, float], status: str | None) -> bool:
        """Log `summary` and end the run. Returns whether anything of it was still to be done.

        `status` None: that of a run that has ended is left, another is marked KILLED.
        """
        run = self.client.get_run(self.run_id)
        if status is None:
            status = "KILLED" if run.info.status == "RUNNING" else run.info.status
        old = {name: repr(value) for name, value in run.data.metrics.items()}
        news = [(safe(n), 0, float(v)) for n, v in summary.items()]
        news = [point for point in news if old.get(point[0]) != repr(point[2])]
        if news:
            log(self.client, self.run_id, metrics=news)
        ended = run.info.status != status
        if ended:
            self.client.set_terminated(self.run_id, status)
        return bool(news) or ended


def _in_parts(points: Iterable[tuple[int, float]]) -> Iterator[list[tuple[int, float]]]:
    """Of thousands each takes milliseconds: a store is not to be silent until all are there."""
    part: list[tuple[int, float]] = []
    began = monotonic()
    for point in points:
        part.append(point)
        if len(part) == BATCH or monotonic() - began >= PART_SECONDS:
            yield part
            part, began = [], monotonic()
    if part:
        yield part


def _fingerprint(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _fingerprint_of(files: Sequence[Path]) -> str:
    """Of their contents, one after the other, read in small pieces: MLflow is called in threads,
    each of which may keep as much memory as it once had (glibc), and the page has megabytes."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
    return digest.hexdigest()[:16]
