"""A search while it runs: what to start next, what is under way, what has ended. Knows no Ray."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from nas.config.run_config import RunConfig
from nas.engine.evaluation import Report
from nas.engine.watchdog import Watchdog
from nas.pareto.front import front
from nas.pareto.result import Result, State
from nas.search.candidate_queue import CandidateQueue
from nas.search.live_view import Screen
from nas.search.search_budget import SearchBudget, Spent
from nas.study.candidate import Candidate
from nas.study.study import Study
from nas.study.summary import Summary
from nas.tracking import Tracker
from trainers.checkpoint import keep_weights_only
from trainers.errors import UserError

MOST_FAILURES = 20  # failures in a row, after which a search gives up


@dataclass
class Running:
    """A candidate under way. `started` by the session's clock; `train_seconds` are of training.

    `ended`: how the session decided to end it before its time, and why.
    """

    candidate: Candidate
    started: float
    train_seconds: float = 0.0
    report: Report = field(default_factory=Report)
    ended: tuple[State, str] | None = None


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
        admission: CandidateQueue,
        tracker: Tracker,
        screen: Screen,
        publish: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.study, self.config, self.slots = study, config, slots
        self.running: dict[str, Running] = {}
        self.members: list[Result] = front(study.results, config.objectives)
        self.notice: str | None = None
        self.interrupted = False
        self.course = SearchBudget(config, study)
        self.progress_before = 0.0
        self._admission = admission
        self._checkpoints = directory / "checkpoints"
        self._tracker, self._screen = tracker, screen
        self._publish, self._clock = publish, clock
        self._lost: deque[Running] = deque()  # they go on before anything new starts
        self._losses: Counter[str] = Counter()
        self._first_launch: float | None = None
        self._last_end: float | None = None
        self._train_seconds = self._worker_seconds = self._more_slot_seconds = 0.0
        self._hopeless = 0
        self._said: set[str] = set()

    @property
    def done(self) -> int:
        """Trainings that ended so far, complete or stopped, those of earlier sessions included."""
        return self.study.begun

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        waiting = self._admission.pending or self._wanted()
        under_way = self.running or (self._lost and not self.interrupted)
        return not under_way and (self._closed or not waiting)

    @property
    def elapsed(self) -> float:
        """Seconds since the first launch, up to the end of the last trial once all is over."""
        if self._first_launch is None:
            return 0.0
        over = self._last_end if not self.running else None
        return (over or self._clock()) - self._first_launch

    @property
    def progress(self) -> float:
        """The share of the budget that is behind, from 0 to 1."""
        epochs = sum(running.report.epoch for running in self._under_way)
        trainings = self.done + epochs / self.config.train.epochs
        return self.course.share(Spent(trainings, self.study.epochs + epochs, self.elapsed))

    def start(self, trial_id: str) -> Candidate | None:
        """The candidate that the trial of this name evaluates; None where none is to start now."""
        if len(self.running) >= self.slots:
            return None
        if self._lost and not self.interrupted:
            self.running[trial_id] = self._lost.popleft()
            return self.running[trial_id].candidate
        self._look_ahead()
        candidate = None if self._closed else self._admission.take()
        if candidate is None:
            return None
        now = self._clock()
        if self._first_launch is None:
            self._first_launch, self.progress_before = now, self.progress
        self.running[trial_id] = Running(candidate, now)
        return candidate

    def report(self, trial_id: str, report: Report) -> bool:
        """An epoch of a trial was trained, or it failed. False: it is to be stopped now."""
        running = self.running[trial_id]
        running.report = report
        running.train_seconds += report.seconds
        if report.loss is not None:
            self._track(running, report)
        if report.warning:
            self._say_once(report.warning)
        if not report.done:
            running.ended = self.course.verdict(running.candidate, report, running.train_seconds)
        self.tick()
        return not report.done and running.ended is None and not self.interrupted

    def on_worker_lost(self, trial_id: str, counts: bool) -> None:
        """A trial's worker died. It goes on from its checkpoint, or ends if it did so too often.

        `counts`: the trial itself may be to blame, which is one more of its retries.
        """
        running = self.running[trial_id]
        if running.report.done or running.ended:
            return self.end(trial_id)
        key = running.candidate.key
        self._losses[key] += counts
        if self._losses[key] > self.config.search.retries:
            running.ended = "infeasible", self._loss(key)
            return self.end(trial_id)
        self._lost.append(self.running.pop(trial_id))
        self.say(f"{key}  its worker died: it goes on after epoch {running.report.epoch}")

    def end(self, trial_id: str) -> None:
        """A trial ended with its last report."""
        running = self.running.pop(trial_id)
        self._last_end = self._clock()
        self._clock_out(running)
        if self.interrupted and not (running.report.done or running.ended):
            return
        result = self._result(running)
        self.study.tell(result)
        self._tidy(result)
        self._give_up_if_hopeless(result)
        if result.state == "complete":
            self._update_front(result)
        self._tracker.trial_end(result, self.study.results)
        self._screen.ended(self, result)

    def resize(self, slots: int) -> None:
        """From now on there is room for so many trials."""
        if slots != self.slots:
            self.say(f"the cluster has room for {slots} trials, was {self.slots}")
            self._more_slot_seconds += (self.slots - slots) * self.elapsed
            self.slots = slots

    def interrupt(self) -> None:
        """Start nothing more, and stop what runs at its next report: it is for the next start."""
        self.interrupted = True

    def tick(self) -> None:
        """Called now and then."""
        if self._admission.measures:  # the next candidate, while others are trained
            self._look_ahead()
        self._tracker.tick()
        self._screen.tick(self)

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""
        self._screen.say(text)

    def requeue(self) -> None:
        """The engine stopped: what was under way is for the next start, from its checkpoints."""
        under_way = self._under_way
        self._last_end = self._clock() if under_way else self._last_end
        for running in under_way:
            self._clock_out(running)
        self.running.clear()
        self._lost.clear()
        self._admission.abandon()
        self.study.requeue()

    def summary(self) -> Summary:
        """The search in numbers, read from the study: it may have been revised since the end."""
        members = front(self.study.results, self.config.objectives)
        return Summary(
            trials=self.study.states["complete"],
            stopped=self.study.states["stopped"],
            infeasible=self.study.states["infeasible"],
            repeats=self.study.repeats,
            epochs=self.study.epochs,
            front=len(members),
            best_dice=max((m.dice for m in members if m.dice is not None), default=None),
            slots=self.slots,
            wall_seconds=self.elapsed,
            slot_seconds=self.slots * self.elapsed + self._more_slot_seconds,
            worker_seconds=self._worker_seconds,
            train_seconds=self._train_seconds,
        )

    @property
    def _under_way(self) -> list[Running]:
        """What was begun and has not ended."""
        return [*self.running.values(), *self._lost]

    @property
    def _spent(self) -> Spent:
        """Of the budget, trials under way included: those will end."""
        pending = bool(self._admission.pending)
        begun = [running.report.epoch for running in self._under_way] + [0] * pending
        epochs = self.study.epochs + sum(map(self.course.committed, begun))
        return Spent(self.done + len(begun), epochs, self.elapsed)

    @property
    def _closed(self) -> bool:
        """Whether no trial is started any more."""
        return self.interrupted or bool(self.notice) or self.course.late(self._spent)

    def _wanted(self) -> bool:
        """Whether one more candidate is to be found."""
        return not self._closed and self.course.wants(self._spent, bool(self._under_way))

    def _look_ahead(self) -> None:
        if self._admission.pending is None:
            self._note_exhaustion()
            if not self._wanted():
                return
            self.course.choose(self._spent)
        self._admission.advance()
        if self.study.refusals.due:
            self.say(self.study.refusals.verdict())
        self._note_exhaustion()
        if self._admission.failures == MOST_FAILURES:
            last = self.study.results[-1].reason
            self.notice = (
                f"gave up: {MOST_FAILURES} networks in a row have no latency, the last: {last}"
            )

    def _note_exhaustion(self) -> None:
        """What runs may be stopped, and trained on then."""
        if not (self._under_way or self._admission.pending) and self.course.exhausted:
            self.notice = self.notice or self.study.exhausted

    def _track(self, running: Running, report: Report) -> None:
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

    def _clock_out(self, running: Running) -> None:
        self._train_seconds += running.train_seconds
        self._worker_seconds += (self._last_end or self._clock()) - running.started

    def _result(self, running: Running) -> Result:
        report = running.report
        state, reason = running.ended or ("complete", None)
        if report.reason:
            state, reason = "infeasible", report.reason
        complete = state == "complete"
        earlier = self.study.find(running.candidate.key)
        return running.candidate.result(
            state=state,
            reason=reason,
            dice=report.dice if complete else None,
            dice_per_class=report.dice_per_class if complete else {},
            epochs=report.epoch,
            curve=report.curve,
            train_seconds=running.train_seconds + (earlier.train_seconds if earlier else 0.0),
            worker_seconds=(self._last_end or self._clock()) - running.started,
            measured=report.measured if complete else {},
            accumulate=report.accumulate,
        )

    def _loss(self, key: str) -> str:
        """What is known of a candidate whose worker died for good."""
        search = self.config.search
        stall = Watchdog(self._checkpoints / f"{key}.hang.txt", 60 * search.stall_minutes)
        return stall.reason if stall.timed_out else f"worker lost {search.retries + 1} times"

    def _update_front(self, result: Result) -> None:
        keys = {member.key for member in self.members}
        self.members = front([*self.members, result], self.config.objectives)
        if keys != {member.key for member in self.members}:
            self._publish()

    def _tidy(self, result: Result) -> None:
        """A complete trial's weights are kept; what a stopped one is trained on from, too."""
        checkpoint = self._checkpoints / f"{result.key}.pt"
        try:
            if result.state == "complete" and checkpoint.exists():
                keep_weights_only(checkpoint)
            elif result.state == "infeasible" or not self.config.search.continuation:
                checkpoint.unlink(missing_ok=True)
        except (OSError, UserError) as error:  # a full disk: it is larger than it need be
            self._say_once(f"a checkpoint is left as it is: {error}")

    def _give_up_if_hopeless(self, result: Result) -> None:
        self._hopeless = self._hopeless + 1 if result.state == "infeasible" else 0
        if self._hopeless == MOST_FAILURES:
            last = result.reason
            self.notice = (
                f"gave up: {MOST_FAILURES} trials in a row were infeasible, the last: {last}"
            )

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)
