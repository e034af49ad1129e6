"""The tracker of a search: records that outlive a failing server, and never end the search."""

from __future__ import annotations

import functools
import logging
import os
import re
import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from nas.result import Result
from nas.tracking.config import Search, TrackingConfig
from nas.tracking.report import SyncReport

if TYPE_CHECKING:
    from nas.tracking.runs import Runs

FRONT_FILES = ("front.json", "front.csv", "front.html")
# A failed call is followed by a pause this many times its length, so that an unreachable server
# takes at most 5% of the search's time.
PAUSE = 20.0
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Those of MLflow, 7 and 120, let one call wait for a quarter of an hour. A request that is
    # repeated blindly makes a second run where only the answer to the first one was lost.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
WARNING = """MLflow at {uri} failed: {error}
The search goes on; everything is in {directory}.
What MLflow lacks is sent once it answers, or later by: segnas sync {quoted}"""

_log = logging.getLogger("segnas.tracking")


class Tracker:
    """The records of one search in MLflow. Does nothing where the config says `enabled: false`.

    No method raises on a failing server. Final results and the front are kept until MLflow has
    them, and the Dice of epochs that were reported while it was away is sent with them. Epoch
    metrics are named `epoch/<name>`, so that the Dice of an unfinished trial is never read as a
    final one.
    """

    def __init__(self, config: TrackingConfig, directory: Path, search: Search) -> None:
        self.config = config
        self.directory = directory.resolve()
        self.uri = config.uri or f"sqlite:///{self.directory / 'mlflow.db'}"
        self._search = search
        self._runs: Runs | None = None
        self._owed: dict[str, Result] = {}
        self._front: Collection[str] | None = None
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
    ) -> None:
        """Record one epoch of a trial; the first makes its run."""
        self._try(lambda runs: runs.epoch(key, number, architecture, epoch, metrics))

    def trial_end(self, result: Result) -> None:
        """Record the final objectives of a trial and end its run."""
        self._owed[result.key] = result
        self._settle()

    def update_front(self, member_keys: Collection[str]) -> None:
        """Tag the runs that joined or left the front."""
        self._front = frozenset(member_keys)
        self._settle()

    def sync(self, results: Sequence[Result], members: Collection[str]) -> SyncReport:
        """Send what MLflow lacks of these results, and nothing that it has; tag the front.

        For the opening of a search and after its end: whatever runs in MLflow without a result is
        marked KILLED, for nobody is at it. What cannot be sent now stays owed.
        """
        self._sent, self._front = SyncReport(), frozenset(members)
        self._owed |= {result.key: result for result in results}
        for _ in range(2):  # one that is refused is last in line the second time
            self._paused_until = 0.0
            self._settle()
            if not self._owed:
                break
        if self._failure is None:
            self._try(lambda runs: self._count(runs.kill_orphans()))
        return self._sent + SyncReport(failed=self._failure)

    def finish(
        self, folder: Path, summary: Mapping[str, float], status: str | None = "FINISHED"
    ) -> SyncReport:
        """Record what is still owed, upload the front files of `folder` and end the parent run.

        `status`: FINISHED, FAILED or KILLED; None leaves that of a run that ended, and is KILLED
        otherwise. Trials still running are marked KILLED. Front files that are not there (a search
        that ended before its first result) are left out. Returns what was not there already.
        """
        self._sent = SyncReport()
        self._paused_until = 0.0
        self._settle()
        self._paused_until = 0.0
        files = [folder / name for name in FRONT_FILES if (folder / name).is_file()]
        self._try(lambda runs: self._count(runs.finish(files, summary, status)))
        return self._sent + SyncReport(failed=self._failure)

    def ui_command(self) -> str | None:
        """The command that shows a local store; None where the store has a server of its own."""
        if not self.config.enabled or not self.uri.startswith("sqlite:"):
            return None
        return f"mlflow ui --backend-store-uri {shlex.quote(self.uri)} --host 127.0.0.1"

    def link(self) -> str | None:
        """Address of the parent run's front page, on the server or under `ui_command()`.

        None without a run.
        """
        if self._runs is None:
            return None
        server = self.uri.rstrip("/") if self.uri.startswith("http") else "http://127.0.0.1:5000"
        path = f"#/experiments/{self._runs.experiment_id}/runs/{self._runs.run_id}"
        # Without the query MLflow shows its view for language models.
        return f"{server}/{path}/artifacts/front.html?workflowType=machine_learning"

    def _settle(self) -> None:
        self._try(self._write_owed)

    def _write_owed(self, runs: Runs) -> None:
        if self._front is not None:
            self._count(runs.tag_front(self._front))
        for key in list(self._owed):
            result = self._owed[key] = self._owed.pop(key)  # refused again, it is last in line
            self._count(runs.end(result, front=key in (self._front or ())))
            del self._owed[key]

    def _count(self, sent: SyncReport) -> None:
        self._sent += sent

    def _try(self, write: Callable[[Runs], None]) -> None:
        """Do `write`, connecting first where there is no connection; a failure is told once.

        It also drops the connection, so that the next one finds all runs by their tags, and pauses.
        """
        started = time.monotonic()
        if not self.config.enabled or started < self._paused_until:
            return
        _prepare_mlflow()
        try:
            self._runs = self._runs or self._connect()
            write(self._runs)
            self._failure = None
        except _server_errors() as error:
            now = time.monotonic()
            self._runs = None
            self._paused_until = now + PAUSE * (now - started)
            self._failure = _plain(error)
            self._warn_once()

    def _connect(self) -> Runs:
        from nas.tracking.runs import Runs

        if not self.config.uri:
            _make_store(self.directory / "mlflow.db")
        artifacts = None if self.config.uri else (self.directory / "mlartifacts").as_uri()
        return Runs.open(self.uri, self.config.experiment, artifacts, self._search)

    def _warn_once(self) -> None:
        if self._warned:
            return
        self._warned = True
        message = WARNING.format(
            uri=_without_password(self.uri),
            error=self._failure,
            directory=self.directory,
            quoted=shlex.quote(str(self.directory)),
        )
        _log.warning(message)


def _make_store(path: Path) -> None:
    """Make a sqlite store beside its place: half of its migrations could never be completed."""
    if path.exists():
        return
    from mlflow import MlflowClient

    for left in path.parent.glob(".mlflow-*"):
        left.unlink()
    draft = path.with_name(f".mlflow-{uuid4().hex}.db")
    try:
        MlflowClient(f"sqlite:///{draft}").get_experiment("0")
        draft.rename(path)
    finally:
        for part in path.parent.glob(f"{draft.name}*"):
            part.unlink()


def _plain(error: Exception) -> str:
    return _without_password((str(error) or repr(error)).splitlines()[0])


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


@functools.cache
def _prepare_mlflow() -> None:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    # Otherwise each migration of a new store is a line in the terminal, each failure a traceback.
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@functools.cache
def _server_errors() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError  # those of requests are OSErrors
