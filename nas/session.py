"""A search while it runs: what to start next, what is under way, what has ended. Knows no Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from nas.admission import Admission
from nas.candidate import Candidate
from nas.config import RunConfig
from nas.evaluation import Report
from nas.front import front
from nas.result import Result
from nas.study import Study
from nas.terminal import Screen
from nas.tracking import Tracker
from trainers.checkpoint import keep_weights_only

HOPELESS = 20  # failures in a row, after which a search gives up


@dataclass
class Running:
    """A candidate under way. `started` by the session's clock; `train_seconds` are of training."""

    candidate: Candidate
    started: float
    train_seconds: float = 0.0
    report: Report = field(default_factory=Report)


@dataclass(frozen=True)
class Summary:
    """A search in numbers; the times are of its latest session.

    `slot_seconds`: number of slots times the wall seconds from the first launch to the end;
    `worker_seconds`: those with a trial in the slot; `train_seconds`: those inside training and
    validation. The rest of a worker's seconds went into its start, building, measuring and
    reporting.
    """

    trials: int
    infeasible: int
    repeats: int
    front: int
    best_dice: float | None
    slots: int
    wall_seconds: float
    slot_seconds: float
    worker_seconds: float
    train_seconds: float

    @property
    def training_share(self) -> float:
        """The share of all slot seconds that was inside training and validation."""
        return self.train_seconds / self.slot_seconds if self.slot_seconds else 0.0

    def to_json(self) -> dict[str, int | float | None]:
        """A plain dict of JSON values."""
        return {**asdict(self), "training_share": self.training_share}

    def metrics(self) -> dict[str, float]:
        """What is known of it, as numbers."""
        return {name: float(v) for name, v in self.to_json().items() if v is not None}


class Session:
    """Told by the engine what happens to trials, it decides, records and shows.

    `slots`: how many trials run side by side. `admission`: where candidates come from.
    """

    def __init__(
        self,
        study: Study,
        config: RunConfig,
        directory: Path,
        slots: int,
        admission: Admission,
        tracker: Tracker,
        screen: Screen,
        publish: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.study, self.config, self.slots = study, config, slots
        self.running: dict[str, Running] = {}
        self.members: list[Result] = front(study.results, config.objectives)
        self.notice: str | None = None
        self._admission = admission
        self._checkpoints = directory / "checkpoints"
        self._tracker, self._screen = tracker, screen
        self._publish, self._clock = publish, clock
        self._first_launch: float | None = None
        self._last_end: float | None = None
        self._train_seconds = self._worker_seconds = 0.0
        self._hopeless = 0

    @property
    def done(self) -> int:
        """Trials complete so far, those of earlier sessions included."""
        return sum(result.state == "complete" for result in self.study.results)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        waiting = self._admission.pending or self._wanted()
        return not self.running and (self._closed or not waiting)

    @property
    def elapsed(self) -> float:
        """Seconds since the first launch, up to the end of the last trial once all is over."""
        if self._first_launch is None:
            return 0.0
        over = self._last_end if not self.running else None
        return (over or self._clock()) - self._first_launch

    def start(self, trial_id: str) -> Candidate | None:
        """The candidate that the trial of this name evaluates; None where none is to start now."""
        if len(self.running) >= self.slots:
            return None
        self._look_ahead()
        candidate = None if self._closed else self._admission.take()
        if candidate is None:
            return None
        now = self._clock()
        if self._first_launch is None:
            self._first_launch = now
        self.running[trial_id] = Running(candidate, now)
        return candidate

    def report(self, trial_id: str, report: Report) -> None:
        """An epoch of a trial was trained, or it failed."""
        running = self.running[trial_id]
        running.report = report
        running.train_seconds += report.seconds
        if report.loss is not None:
            values = {
                "loss": report.loss,
                "dice": report.dice,
                "seconds": report.seconds,
                **report.measured,
            }
            self._tracker.trial_epoch(
                running.candidate.key,
                running.candidate.number,
                running.candidate.architecture.to_json(),
                report.epoch,
                {name: value for name, value in values.items() if value is not None},
            )
        self.tick()

    def end(self, trial_id: str, lost: bool = False) -> None:
        """A trial ended with its last report; `lost`: its worker died once too often."""
        running = self.running.pop(trial_id)
        self._last_end = self._clock()
        result = self._result(running, lost)
        self.study.tell(result)
        self._train_seconds += result.train_seconds
        self._worker_seconds += result.worker_seconds
        complete = result.state == "complete"
        self._tidy(self._checkpoints / f"{result.key}.pt", complete)
        self._give_up_if_hopeless(complete)
        keys = [member.key for member in self.members]
        self.members = front(self.study.results, self.config.objectives)
        self._tracker.trial_end(result)
        if keys != [member.key for member in self.members]:
            self._tracker.update_front([member.key for member in self.members])
            self._publish()
        self._screen.ended(self, result)

    def tick(self) -> None:
        """Called now and then."""
        if self._admission.measures:  # the next candidate, while others are trained
            self._look_ahead()
        self._screen.tick(self)

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""
        self._screen.say(text)

    def requeue(self) -> None:
        """The engine stopped: what was under way is for the next start, from its checkpoints."""
        for running in self.running.values():
            self._last_end = self._clock()
            self._worker_seconds += self._last_end - running.started
            self._train_seconds += running.train_seconds
        self.running.clear()
        self._admission.abandon()
        self.study.requeue()

    def summary(self) -> Summary:
        """The search in numbers."""
        results = self.study.results
        return Summary(
            trials=self.done,
            infeasible=len(results) - self.done,
            repeats=self.study.repeats,
            front=len(self.members),
            best_dice=max((r.dice for r in results if r.dice is not None), default=None),
            slots=self.slots,
            wall_seconds=self.elapsed,
            slot_seconds=self.slots * self.elapsed,
            worker_seconds=self._worker_seconds,
            train_seconds=self._train_seconds,
        )

    @property
    def _closed(self) -> bool:
        """Whether no trial is started any more."""
        hours = self.config.search.hours
        return bool(self.notice) or (hours is not None and self.elapsed >= 3600 * hours)

    def _wanted(self) -> bool:
        """Whether one more candidate is to be found."""
        underway = len(self.running) + bool(self._admission.pending)
        return not self._closed and self.done + underway < self.config.search.trials

    def _look_ahead(self) -> None:
        if not self._admission.pending and not self._wanted():
            return
        self._admission.advance()
        if self.study.refusals.due:
            self.say(self.study.refusals.verdict())
        self.notice = self.notice or self.study.exhausted
        if self._admission.failures == HOPELESS:
            last = self.study.results[-1].reason
            self.notice = f"gave up: {HOPELESS} networks in a row have no latency, the last: {last}"

    def _result(self, running: Running, lost: bool) -> Result:
        report = running.report
        reason = report.reason
        if lost:
            reason = f"worker lost {self.config.search.retries + 1} times"
        return running.candidate.result(
            state="infeasible" if reason else "complete",
            reason=reason,
            dice=None if reason else report.dice,
            dice_per_class={} if reason else report.dice_per_class,
            epochs=report.epoch,
            curve=report.curve,
            train_seconds=running.train_seconds,
            worker_seconds=(self._last_end or self._clock()) - running.started,
            measured={} if reason else report.measured,
        )

    def _tidy(self, checkpoint: Path, complete: bool) -> None:
        """What can go on is no longer needed; a complete trial's weights are."""
        if complete and checkpoint.exists():
            keep_weights_only(checkpoint)
        elif not complete:
            checkpoint.unlink(missing_ok=True)

    def _give_up_if_hopeless(self, complete: bool) -> None:
        self._hopeless = 0 if complete else self._hopeless + 1
        if self._hopeless == HOPELESS:
            last = self.study.results[-1].reason
            self.notice = f"gave up: {HOPELESS} trials in a row were infeasible, the last: {last}"
