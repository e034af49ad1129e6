"""The tracker of a search: records that outlive a failing server, and never end the search."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any

from nas.config.tracking import TrackingConfig
from nas.pareto.front_chances import front_chances
from nas.pareto.hypervolume import ranks
from nas.pareto.result import Result
from nas.tracking.description import front_path
from nas.tracking.mlflow_private import follow_move
from nas.tracking.search import Search
from nas.tracking.store import (
    ARTIFACTS,
    STORE,
    check_writable,
    make_store,
    plain,
    prepare_mlflow,
    server_errors,
    store_uri,
    without_password,
)
from nas.tracking.sync_report import SyncReport
from nas.tracking.timed_calls import HOLD, SILENCE, HeardClient, TimedCalls
from nas.tracking.tracked_runs import TrackedRuns

if TYPE_CHECKING:
    from nas.tracking.trial_runs import Runs

FRONT_FILES = ("front.json", "front.csv", "front.html")
PAGE_SECONDS = 60.0  # at least, between two uploads of the front while a search runs
# A failed call is followed by a pause this many times its length, so that an unreachable server
# takes at most 5% of the search's time; so is an upload of the front.
PAUSE = 20.0

_log = logging.getLogger("segnas.tracking")


class Tracker:
    """The records of one search in MLflow. Does nothing where the config says `enabled: false`.

    No method raises on a failing server, or waits for one that does not answer: the opening of a
    search and each report wait `HOLD` seconds at most, its end and `segnas sync` as long as there
    is an answer every `SILENCE` seconds. Final results, ranks and hypervolumes are kept until
    MLflow has them, and the Dice of epochs that were reported while it was away is sent with them.
    Epoch metrics are named `epoch/<name>`, so that the Dice of an unfinished trial is never read as
    a final one.
    """

    def __init__(self, config: TrackingConfig, directory: Path, search: Search) -> None:
        self.config = config
        self.directory = directory.resolve()
        self.uri = store_uri(config, self.directory)
        self._search = search
        self._runs: Runs | None = None
        self._calls = TimedCalls()
        self._owed: dict[str, Result] = {}
        self._told: set[str] = set()  # names of all that was ever owed
        self._results: Sequence[Result] | None = None
        self._ranks: Mapping[str, int] = {}
        self._stale = False
        self._next_page = 0.0
        self._paused_until = 0.0
        self._failure: str | None = None
        self._warned = not search.running
        self._sent = SyncReport()

    @property
    def behind(self) -> bool:
        """Whether MLflow lacks something that a `sync` would send."""
        return self.config.enabled and (bool(self._owed) or self._failure is not None)

    def trial_epoch(
        self,
        key: str,
        number: int,
        architecture: Mapping[str, Any],
        epoch: int,
        metrics: Mapping[str, float],
        baseline: str = "",
    ) -> None:
        """Record one epoch of a trial, or of a `baseline` of that name; the first makes its run."""
        self._try(lambda runs: runs.epoch(key, number, architecture, epoch, metrics, baseline))

    def supernet_epochs(self, curve: Sequence[Mapping[str, float]]) -> None:
        """Record the epochs of the shared weights in the search's own run, as `supernet/<name>`."""
        self._try(lambda runs: runs.parent.supernet(curve))

    def trial_end(self, result: Result, results: Sequence[Result]) -> None:
        """Record the final objectives of a trial and end its run; `results`: all that ended.

        Trials whose Pareto rank changed get their tags, and the search its hypervolume; baselines
        and compressed networks have no part in either.
        """
        self._owe([result])
        self.trials_end(results)
        self.tick()

    def trials_end(self, results: Sequence[Result]) -> None:
        """Record what has ended since, also what was rejected before a training: of that no
        `trial_end` tells."""
        self._stand(results)
        self._owe([result for result in results if result.name not in self._told])
        self._try(self._write_owed)

    def tick(self) -> None:
        """Show a front that changed on the search's page, every `PAGE_SECONDS` at most.

        To be called often; it does nothing as long as it is not time to.
        """
        if self._stale and time.monotonic() >= self._next_page:
            self._try(self._show)

    def sync(self, results: Sequence[Result]) -> SyncReport:
        """Send what MLflow lacks of these results, and nothing that it has; rank the trials.

        For the opening of a search and after its end, when no trial is being trained: whatever is
        RUNNING in MLflow without a result is marked KILLED. What cannot be sent now is sent later.
        """
        self._sent = SyncReport()
        self._stand(results)
        self._owe(results)
        self._send(self._catch_up, patient=not self._search.running)
        return replace(self._sent, failed=self._failure)

    def finish(
        self, folder: Path, summary: Mapping[str, float], status: str | None = "FINISHED"
    ) -> SyncReport:
        """Send what is still to be sent, and the chances of those near the front; upload the front
        files of `folder`, end the parent run.

        `status`: FINISHED, FAILED or KILLED; with None, that of a run that has ended is left and
        another is marked KILLED. So are trials that are still RUNNING. Front files that do not
        exist (the search ended before its first result) are left out. Returns what was sent since
        `sync` was called.
        """

        def close(runs: Runs) -> None:
            self._kill_orphans(runs)
            runs.chances(front_chances(self._results or (), self._search.objectives))
            closed = runs.parent.finish(summary, status)
            changed = runs.parent.show(_front_files(folder), self._results or (), self._ranks)
            self._sent.closed = int(changed or closed)

        self._hear_out()
        if self._send(self._write_owed, patient=True):
            self._paused_until = 0.0
            self._try(close, patient=True)
        return replace(self._sent, failed=self._failure)

    @property
    def local(self) -> bool:
        """Whether the store is a file in the search's folder, which `segnas ui` shows."""
        return self.config.enabled and self.config.uri is None

    def link(self) -> str | None:
        """Address of the search's front on the server; None without a server, or without a run."""
        if self._runs is None or not self.uri.startswith("http"):
            return None
        parent = self._runs.parent
        server = without_password(self.uri).rstrip("/")
        return f"{server}/{front_path(parent.experiment_id, parent.run_id)}"

    @property
    def runs(self) -> TrackedRuns:
        """The runs of the trials, as far as there are any. Asks nobody."""
        if self._runs is None:
            return TrackedRuns()
        ids = {name: child.run_id for name, child in list(self._runs.children.items())}
        return TrackedRuns.at(self.uri, self._runs.parent.experiment_id, ids)

    def _stand(self, results: Sequence[Result]) -> None:
        self._results, self._stale = [one for one in results if one.is_candidate], True
        self._ranks = ranks(self._results, self._search.objectives)

    def _owe(self, results: Sequence[Result]) -> None:
        owed = {result.name: result for result in results}
        self._owed |= owed
        self._told |= owed.keys()

    def _send(self, write: Callable[[Runs], None], patient: bool) -> bool:
        """Call `write`, which writes what is owed. Returns whether MLflow answered at all."""
        for _ in range(2):  # one that is refused is last in line the second time
            self._paused_until = 0.0
            answered = self._try(write, patient)
            if not (answered and self._owed):
                break
        return answered

    def _hear_out(self) -> None:
        """Wait for a report that goes on without us. What ended it need not end what comes next."""
        try:
            self._calls.ended(inf, SILENCE)
        except server_errors():
            self._runs = None

    def _write_owed(self, runs: Runs) -> None:
        if self._results is not None:
            self._sent.completed += runs.rank(self._ranks)
            runs.parent.grow(self._results)
        for name in list(self._owed):
            result = self._owed[name] = self._owed.pop(name)  # refused again, it is last in line
            runs.end(result, self._ranks.get(name), self._sent)
            if self._owed.get(name) is result:  # not one that came meanwhile
                del self._owed[name]

    def _catch_up(self, runs: Runs) -> None:
        self._write_owed(runs)
        self._kill_orphans(runs)

    def _show(self, runs: Runs) -> None:
        started = time.monotonic()
        runs.parent.show(_front_files(self.directory), self._results or (), self._ranks)
        now = time.monotonic()
        self._stale, self._next_page = False, now + max(PAGE_SECONDS, PAUSE * (now - started))

    def _kill_orphans(self, runs: Runs) -> None:
        self._sent.killed += runs.kill_orphans()

    def _try(self, write: Callable[[Runs], None], patient: bool = False) -> bool:
        """Call `write`, connecting first where there is no connection. Returns whether MLflow
        answered at all.

        A failure is warned of once. It drops the connection, so that the next one finds all runs by
        their tags, and pauses before that. `patient`: wait as long as there are answers.
        """
        started = time.monotonic()
        if not self.config.enabled or started < self._paused_until:
            return False
        hold, silence = (inf, SILENCE) if patient else (HOLD, HOLD)
        try:
            prepare_mlflow()
            self._prepare_store()
            if self._calls.run(partial(self._connected, write), hold, silence):
                self._failure = None
            return True
        except server_errors() as error:
            now = time.monotonic()
            self._runs = None
            self._paused_until = now + PAUSE * (now - started)
            self._failure = plain(error)
            if not self._warned:
                self._warn(self._failure)
            return self._calls.heard_at >= started

    def _prepare_store(self) -> None:
        """Make the local store where it is missing: seconds of work, not of waiting."""
        if self._runs is None and self.local:
            make_store(self.directory / STORE)
            check_writable(self.directory / STORE)
            follow_move(self.directory / STORE, self.config.experiment, self.directory / ARTIFACTS)

    def _connected(self, write: Callable[[Runs], None]) -> None:
        self._runs = self._runs or self._connect()
        write(self._runs)

    def _connect(self) -> Runs:
        from mlflow import MlflowClient

        from nas.tracking.trial_runs import Runs

        artifacts = (self.directory / ARTIFACTS).as_uri() if self.local else None
        client: Any = HeardClient(MlflowClient(self.uri), self._calls.hear)
        folder = f"{gethostname()}:{self.directory}"
        runs = Runs.open(client, self.config.experiment, artifacts, self._search, folder)
        if news := runs.parent.restored:
            _log.warning(f"Deleted in MLflow, and restored: {', '.join(news)}")
        return runs

    def _warn(self, error: str) -> None:
        self._warned = True
        uri, quoted = without_password(self.uri), shlex.quote(str(self.directory))
        _log.warning(
            f"MLflow at {uri} failed: {error}\n"
            f"The search goes on; everything is in {self.directory}.\n"
            f"What MLflow lacks is sent once it answers, or later by: segnas sync {quoted}"
        )


def _front_files(folder: Path) -> list[Path]:
    return [folder / name for name in FRONT_FILES if (folder / name).is_file()]
