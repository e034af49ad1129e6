"""What a search with shared weights does before its candidates: train the supernet, score networks.

A `TrialSource` of the engine, as a `Session` is; nothing of it becomes a result.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from nas.engine.attempts import Attempts
from nas.engine.report import Report
from nas.engine.supernet.jobs import TRAINING, SupernetJob
from nas.engine.supernet.score_batch import ScoreReport
from nas.engine.supernet.train_supernet import SupernetReport
from nas.engine.trial_files import TrialFiles
from nas.export.shared_weights import CHECKPOINT, FOLDER
from nas.report.terminal_tables import clock
from nas.search.scoring import Scoring, UnderWay
from nas.search.supernet_record import SupernetRecord
from nas.search.time_account import TimeAccount

OTHERWISE = "Change train or space.restrict, or set search.strategy=train"
GO_ON = "The same command goes on from the last epoch that was saved"
LINES = 20  # that a training prints where there is no terminal


@dataclass(frozen=True)
class StageView:
    """Who follows the stage. `say`: one line for the person at the terminal. `show`: where it is,
    at every report, and a line of it, `worth` printing or not. `track`: the metrics of every epoch
    so far."""

    say: Callable[[str], object]
    show: Callable[[str, bool], object]
    track: Callable[[Sequence[Mapping[str, float]]], object]


class SupernetStage:
    """Says what workers do before the candidates, and hears of it; see `TrialSource`.

    `record`: how far it is, kept in the search's folder, whose `files` these are. `threads`: of the
    CPU, for the training, beside which nothing runs. `retries`: how often a job goes on whose
    worker died. `failure`: why there is no supernet, once that is so, and what to do. Its seconds
    are those of `time`, which the search's candidates go on with.
    """

    def __init__(
        self,
        files: TrialFiles,
        record: SupernetRecord,
        scoring: Scoring,
        time: TimeAccount,
        view: StageView,
        *,
        threads: int = 1,
        retries: int = 0,
    ) -> None:
        self.running: dict[str, UnderWay] = {}
        self.interrupted = False
        self.failure: str | None = None
        self._files, self._record, self._scoring = files, record, scoring
        self._directory, self._time, self._view = files.directory, time, view
        self._weights = Attempts(files.directory / FOLDER / CHECKPOINT)
        self._threads, self._retries = threads, retries
        self._heard = ""  # the attempt at the training that told of something last
        self._seconds: list[float] = []  # of each epoch that was heard of in this session
        self._lost: deque[UnderWay] = deque()  # they go on before anything new starts
        self._losses: Counter[str] = Counter()
        self._said: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        if self.running:
            return False
        return self._closed or (self._record.trained and self._scoring.over and not self._lost)

    @property
    def _closed(self) -> bool:
        return self.interrupted or self.failure is not None

    def start(self, trial_id: str) -> SupernetJob | None:
        """The next job; see `TrialSource`. Nothing is scored before the supernet is trained."""
        if self._closed or len(self.running) >= self._time.slots:
            return None
        if self._lost:
            self._time.restart()
            self.running[trial_id] = self._lost.popleft()
            return self.running[trial_id].job
        found = self._scoring.next() if self._record.trained else self._training()
        if found is None:
            return None
        found.started = self._time.start()
        self.running[trial_id] = found
        return found.job

    def report(self, trial_id: str, report: Report) -> bool:
        """A worker did one more step. False: it is to be stopped now."""
        under_way = self.running[trial_id]
        under_way.train_seconds += report.seconds
        under_way.done = report.done
        if under_way.job.batch is None:
            if self._accepted(report):
                self._on_epoch(report)
        elif isinstance(report, ScoreReport):
            self._keep(lambda: self._scoring.take(under_way, report, self._time.slots))
            self._view.show(self._scoring.text, report.done)
        self._keep(lambda: self._record.write(self._directory))
        if report.warning:
            self._say_once(report.warning)
        enough = under_way.job.batch is not None and self._scoring.over
        return not (report.done or enough or self._closed)

    def on_worker_lost(self, trial_id: str, counts: bool, cause: str | None = None) -> None:
        """A worker died, perhaps since it hung, or raised what `cause` says: its job goes on
        elsewhere, unless it lost too many."""
        under_way = self.running.pop(trial_id)
        name = under_way.job.name
        if under_way.job.batch is None:
            self._forget(trial_id)
        self._losses[name] += counts
        hung = self._files.hang(name)
        if hung and self._losses[name] <= self._retries:
            self._files.set_hang_aside(name)
        if under_way.done:
            self._end(under_way)
        elif self._losses[name] <= self._retries:
            self._time.lose()
            training = under_way.job.batch is None
            self._lost.append(under_way if training else self._scoring.rest(under_way))
            died = f"failed ({cause})" if cause else "died"
            what = "hung" if hung else died  # of processes together others then raise
            self.say(f"{name}: its worker {what}, and another goes on")
        else:
            self._time.end(under_way.started, under_way.train_seconds)
            if under_way.job.batch is None:
                what = "failed" if cause else "died"
                told = f", the last time with {cause}" if cause else ""
                self._fail(hung or f"its worker {what} {self._losses[name]} times{told}", GO_ON)
            else:
                self._scoring.drop(under_way)
                died = "hang with it" if hung else "die of it"
                what = f"fail with it ({cause})" if cause else died
                self.say(f"{name}: workers {what}, and {len(under_way.left)} are left out")

    def end(self, trial_id: str) -> None:
        """A job ended with its last report."""
        under_way = self.running.pop(trial_id)
        if under_way.job.batch is None:
            self._forget(trial_id)
        self._end(under_way)

    def resize(self, slots: int) -> None:
        """From now on there is room for so many jobs."""
        if slots != self._time.slots:
            self._time.resize(slots)

    def interrupt(self) -> None:
        """Start nothing more, and stop what runs at its next report."""
        self.interrupted = True

    def tick(self) -> None:
        """See `TimeAccount.tick`."""
        self._time.tick()

    def say(self, text: str) -> None:
        """One line for the person at the terminal."""
        self._view.say(text)

    def requeue(self) -> None:
        """The engine stopped: what was under way is for its next start."""
        for _ in self._lost:
            self._time.restart()
        for under_way in [*self.running.values(), *self._lost]:
            self._end(under_way)
        self.running.clear()
        self._lost.clear()

    def _training(self) -> UnderWay | None:
        """The job of training, unless it is under way."""
        job = SupernetJob(name=TRAINING, threads=self._threads)
        return None if self.running else UnderWay(job)

    def _accepted(self, report: Report) -> bool:
        """Of all that write weights, only who is heard here is gone on from. False where the last
        ones cannot be kept."""
        if not isinstance(report, SupernetReport) or report.attempt is None:
            return True
        if self._heard not in ("", report.attempt):
            self._weights.forget(self._heard)
        self._heard = report.attempt
        try:
            self._weights.accept(report.attempt)
        except OSError as error:
            if report.done:
                self._fail(f"its weights cannot be kept: {error}", GO_ON)
                return False
            self._say_once(f"the supernet's checkpoint is left as it was before: {error}")
        return True

    def _on_epoch(self, report: Report) -> None:
        record = self._record
        if report.reason:
            self._fail(report.reason, OTHERWISE)
            return
        assert isinstance(report, SupernetReport)
        if record.epochs is None:
            self._view.say(f"Supernet: {report.epochs} epochs, for all networks together")
        record.epochs, record.trained = report.epochs, report.done
        # An epoch that was not saved, or whose report came too late, is trained again.
        record.curve = [told for told in record.curve if told["epoch"] < report.epoch]
        if report.loss is not None:
            told = {**report.measured, "loss": report.loss, "dice": report.dice}
            metrics = {name: value for name, value in told.items() if value is not None}
            record.curve.append({**metrics, "epoch": report.epoch})
            record.train_seconds += report.seconds
            self._seconds.append(report.seconds)
            self._view.track(record.curve)
        worth = report.done or report.epoch % max(1, report.epochs // LINES) == 0
        self._view.show(self._epoch_text(report), worth)

    def _epoch_text(self, report: SupernetReport) -> str:
        record = self._record
        left = mean(self._seconds or [0.0]) * (report.epochs - report.epoch)
        told = record.curve[-1] if record.curve else {}
        metrics = "  ".join(f"{n} {value:.4f}" for n, value in told.items() if n != "epoch")
        return f"epoch {report.epoch}/{report.epochs}  {metrics}  (left about {clock(left)})"

    def _forget(self, trial_id: str) -> None:
        """What an attempt at the training has written; of processes that train together it has a
        name of its own."""
        self._weights.forget(trial_id)
        if self._heard:
            self._weights.forget(self._heard)

    def _fail(self, why: str, advice: str) -> None:
        self.failure = f"{why}. {advice}"

    def _end(self, under_way: UnderWay) -> None:
        self._time.end(under_way.started, under_way.train_seconds)
        self._scoring.give_back(under_way)

    def _keep(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            told = f"{self._directory} cannot be written: {error.strerror or error}"
            self._say_once(f"{told}; what a later session does not find there it does again")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)
