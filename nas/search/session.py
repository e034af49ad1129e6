"""A search while it runs: what to start next, what is under way, what has ended. Knows no Ray."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from nas.engine.report import Report
from nas.engine.trial_files import TrialFiles
from nas.pareto.front import front
from nas.pareto.result import Result
from nas.report.terminal_tables import clock
from nas.search.callback import SearchCallback
from nas.search.candidate_queue import CandidateQueue
from nas.search.repeats import Repeats
from nas.search.running import Running
from nas.search.search_budget import SearchBudget, Spent
from nas.search.time_account import TimeAccount
from nas.search.trial_judge import TrialJudge
from nas.study.candidate import Candidate
from nas.study.study import Study
from nas.study.summary import Summary
from trainers.errors import UserError

MOST_FAILURES = 20  # in a row, after which a search gives up


class Session:
    """Told by the engine what happens to trials (`TrialSource`), it decides and records.

    `queue`: where candidates come from. `judge`: who ends before its time. `retries`: how often a
    trial goes on whose worker is lost. `repeats`: who is trained again, once no new candidate is to
    start. `callbacks` hear of everything, one after the other.
    """

    def __init__(
        self,
        study: Study,
        queue: CandidateQueue,
        budget: SearchBudget,
        judge: TrialJudge,
        files: TrialFiles,
        time: TimeAccount,
        *,
        retries: int = 0,
        repeats: Repeats | None = None,
        callbacks: Sequence[SearchCallback] = (),
    ) -> None:
        self.study, self.budget, self.time = study, budget, time
        self.running: dict[str, Running] = {}
        self.members: list[Result] = front(study.results, study.objectives)
        self.notice: str | None = None
        self.interrupted = False
        self.fraction_before = 0.0  # of the budget, when this session's first trial started
        self._queue, self._judge, self._files = queue, judge, files
        self._retries, self._repeats, self._callbacks = retries, repeats, callbacks
        self._lost: deque[Running] = deque()  # they go on before anything new starts
        self._losses: Counter[str] = Counter()
        self._failures = 0  # in a row
        self._said: set[str] = set()

    @property
    def done(self) -> int:
        """See `SearchBudget.done`."""
        return self.budget.done(self.study)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        under_way = self.running or (self._lost and not self.interrupted)
        return not under_way and not self._awaits_candidate and self._next_repeat() is None

    @property
    def fraction_spent(self) -> float:
        """Of the budget, which baselines take nothing of, from 0 to 1."""
        spent = self.budget.spent(self.study, self._under_way, self.time.spent)
        return self.budget.fraction_spent(spent)

    def start(self, trial_id: str) -> Candidate | None:
        """The candidate that the trial of this name evaluates; None where none is to start now."""
        if len(self.running) >= self.time.slots:
            return None
        if self._lost and not self.interrupted:
            self.running[trial_id] = self._lost.popleft()
            self.time.restart()
            return self.running[trial_id].candidate
        self._look_ahead()
        candidate = None if self._closed else self._queue.take()
        candidate = candidate or self._next_repeat()
        if candidate is None:
            return None
        if not self.time.begun:
            self.fraction_before = self.fraction_spent
        self.running[trial_id] = Running(candidate, self.time.start())
        return candidate

    def report(self, trial_id: str, report: Report) -> bool:
        """A trial did one more step, its last one perhaps. False: it is to be stopped now."""
        running = self.running[trial_id]
        running.hear(report)
        running.train_seconds += report.seconds
        self._accept(trial_id, running)
        self._learn_pace(running)
        for callback in self._callbacks:
            callback.on_report(self, running.candidate, report)
        if report.warning:
            self._say_once(report.warning)
        if not (report.done or running.is_repeat):
            running.ended = self._judge.verdict(running.candidate, report, running.all_seconds)
        self.tick()
        return not report.done and running.ended is None and not self.interrupted

    def on_worker_lost(self, trial_id: str, counts: bool, cause: str | None = None) -> None:
        """A trial's worker died, or raised what `cause` says. It goes on from its checkpoint, or
        ends if it did so too often.

        `counts`: the trial itself may be to blame, which is one more of its retries.
        """
        running = self.running[trial_id]
        if running.report.done or running.ended:
            return self.end(trial_id)
        name = running.candidate.name
        self._files.attempts(name).forget(trial_id)
        self._losses[name] += counts
        if self._losses[name] > self._retries:
            running.ended = "infeasible", self._loss(name, cause)
            return self.end(trial_id)
        self._lost.append(self.running.pop(trial_id))
        self.time.lose()
        died = "died"
        if self._files.hang(name):
            died = "hung"
            self._files.set_hang_aside(name)
        what = f"failed ({cause})" if cause else died
        told = f"its worker {what}: it goes on after epoch {running.report.epoch}"
        self.say(f"{running.candidate.label}  {told}")

    def end(self, trial_id: str) -> None:
        """A trial ended with its last report."""
        running = self.running.pop(trial_id)
        seconds = self.time.end(running.started, running.train_seconds)
        self._files.attempts(running.candidate.name).forget(trial_id)
        if self.interrupted and not (running.report.done or running.ended):
            return
        result = self._tell_repeat(running) if running.is_repeat else self._tell(running, seconds)
        for callback in self._callbacks:
            callback.on_result(self, result)

    def resize(self, slots: int) -> None:
        """From now on there is room for so many trials."""
        if slots != self.time.slots:
            self.say(f"the cluster has room for {slots} trials, was {self.time.slots}")
            self.time.resize(slots)

    def interrupt(self) -> None:
        """Start nothing more, and stop what runs at its next report: it is for the next start."""
        self.interrupted = True

    def tick(self) -> None:
        """Look ahead for the next candidate while others are trained; see `TrialSource`."""
        self.time.tick()
        if self._queue.measures:
            self._look_ahead()
        for callback in self._callbacks:
            callback.on_tick(self)

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""
        for callback in self._callbacks:
            callback.on_message(text)

    def requeue(self) -> None:
        """The engine stopped: what was under way is for the next start, from its checkpoints."""
        for trial_id, running in self.running.items():
            self.time.end(running.started, running.train_seconds)
            self._files.attempts(running.candidate.name).forget(trial_id)
        for running in self._lost:
            self.time.restart()
            self.time.end(running.started, running.train_seconds)
        self.running.clear()
        self._lost.clear()
        self._queue.abandon()
        self.study.requeue()

    def summary(self) -> Summary:
        """The search in numbers, read from the study: it may have been revised since the end."""
        members = front(self.study.results, self.study.objectives)
        return Summary(
            trials=self.study.states["complete"],
            stopped=self.study.states["stopped"],
            infeasible=self.study.states["infeasible"],
            repeats=self.study.repeats,
            epochs=self.study.epochs,
            trained_again=self.study.trained_again,
            front=len(members),
            best_dice=max((m.dice for m in members if m.dice is not None), default=None),
            slots=self.time.slots,
            wall_seconds=self.time.elapsed,
            slot_seconds=self.time.slot_seconds,
            worker_seconds=self.time.worker_seconds,
            train_seconds=self.time.train_seconds,
        )

    @property
    def _under_way(self) -> list[Running]:
        """The candidates that were begun and have not ended."""
        begun = [*self.running.values(), *self._lost]
        return [running for running in begun if not running.candidate.baseline]

    @property
    def _closed(self) -> bool:
        """Whether no trial is started any more."""
        late = self.budget.out_of_time(self.time.spent)
        return self.interrupted or bool(self.notice) or late

    def _needs_candidate(self) -> bool:
        """Whether one more network is to be found, once those under way come to their ends."""
        if self._closed:
            return False
        over = self.study.exhausted or self.study.out_of_time
        room = not over and self.budget.wants_candidate(self._committed)
        return room or self._queue.owes

    @property
    def _awaits_candidate(self) -> bool:
        """Whether one is to start, now or once its latency is measured."""
        return not self._closed and (bool(self._queue.pending) or self._needs_candidate())

    def _next_repeat(self) -> Candidate | None:
        """Who is to be trained again now: nobody while candidates are to start."""
        gave_up = self.notice and not self.study.exhausted
        if self._repeats is None or self.interrupted or gave_up or self._awaits_candidate:
            return None
        under_way = [running.candidate for running in self._under_way]
        return self._repeats.next(under_way, self._committed)

    @property
    def _committed(self) -> Spent:
        """What will be spent once all that is pending or under way may end."""
        pending = bool(self._queue.pending and not self._queue.pending.baseline)
        return self.budget.committed(self.study, self._under_way, pending, self.time.spent)

    def _look_ahead(self) -> None:
        if self._queue.pending is None and not self._needs_candidate():
            return
        pace, slots = self.study.pace, self.time.slots
        pace.most = self.budget.most_seconds(self.time.spent, slots, pace.quickest)
        self._queue.advance()
        self._tell_left_out()
        self._tell_waiting()
        if self.study.refusals.due:
            self.say(self.study.refusals.verdict())
        if self.study.exhausted:
            self.notice = self.notice or self.study.exhausted
        if self._queue.failures == MOST_FAILURES:
            self._give_up("networks in a row have no latency", self.study.results[-1])

    def _learn_pace(self, running: Running) -> None:
        candidate, epoch = running.candidate, running.report.epoch
        if not candidate.baseline:
            pace = self.study.pace
            pace.observe(candidate.key, candidate.costs, epoch, running.all_seconds)

    def _tell_left_out(self) -> None:
        """Say what there was no time for, of the networks that were to be tried first."""
        pace, left_out = self.study.pace, self.study.left_out
        for candidate in left_out:
            if name := self.study.starts.get(candidate.key):
                seconds = clock(pace.seconds(candidate.costs) or 0.0)
                self._say_once(
                    f"{name} is left out: it would train for about {seconds}, and "
                    f"{clock(pace.most)} are allowed"
                )
        left_out.clear()
        if self.study.out_of_time:
            self._say_once("nothing more that is proposed can be trained in the time that is left")

    def _tell_waiting(self) -> None:
        """Say which devices gave no latency of a network, which is trained all the same."""
        for name, reason in self._queue.waiting.items():
            self._say_once(f"latencies wait for {name}: {reason}")
        self._queue.waiting.clear()

    def _tell(self, running: Running, worker_seconds: float) -> Result:
        result = self.study.tell(running.result(worker_seconds))
        self._tidy(result.key, keep=result.state == "complete")
        if not result.baseline:
            self._give_up_if_hopeless(result)
        if result.state == "complete":
            self._update_front([*self.members, result])
        return result

    def _tell_repeat(self, running: Running) -> Result:
        repeat = running.repeat()
        try:
            repeat.write(self._files.directory)
        except OSError as error:
            self._say_once(f"a repeat cannot be kept for the next session: {error}")
        result = self.study.add_repeat(repeat)
        self._tidy(running.candidate.name, keep=False)
        self._update_front(self.study.results)
        return result

    def _loss(self, name: str, cause: str | None) -> str:
        """What is known of a training whose worker was lost for good, the last time by `cause`."""
        lost = f"worker lost {self._retries + 1} times"
        return self._files.hang(name) or (f"{lost}: {cause}" if cause else lost)

    def _update_front(self, results: Sequence[Result]) -> None:
        """To that of `results`; a baseline among them is shown beside it, and takes no place."""
        candidates = [result for result in results if not result.baseline]
        before, self.members = self.members, front(candidates, self.study.objectives)
        if self.members != before or len(candidates) < len(results):
            for callback in self._callbacks:
                callback.on_front_change(self)

    def _accept(self, trial_id: str, running: Running) -> None:
        """Of all that write for this training, only who is heard here is gone on from."""
        name, saved = running.candidate.name, running.report.saved
        try:
            self._files.attempts(name).accept(trial_id)
        except OSError as error:
            saved = False
            self._say_once(f"the checkpoint of {name} is left as it was before: {error}")
        if running.report.done and not saved:  # older weights would pass for those of this Dice
            self._files.remove(name)

    def _tidy(self, name: str, keep: bool) -> None:
        try:
            self._files.tidy(name, keep)
        except (OSError, UserError) as error:  # a full disk: it is larger than it need be
            self._say_once(f"a checkpoint is left as it is: {error}")

    def _give_up_if_hopeless(self, result: Result) -> None:
        self._failures = self._failures + 1 if result.state == "infeasible" else 0
        if self._failures == MOST_FAILURES:
            self._give_up("trials in a row were infeasible", result)

    def _give_up(self, what: str, last: Result) -> None:
        self.notice = f"gave up: {MOST_FAILURES} {what}, the last: {last.reason}"

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)
