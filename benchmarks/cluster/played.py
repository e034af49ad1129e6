"""A driver and its workers by a clock of their own: what the driver computes counts as it does,
trainings take the seconds that they are said to take."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from shutil import copytree
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from cluster.asks import open_study, run_config
from nas.engine.report import Fidelity, Report
from nas.engine.trial_files import TrialFiles
from nas.search.callback import SearchCallback, SessionView
from nas.search.candidate_queue import CandidateQueue
from nas.search.search_budget import SearchBudget
from nas.search.session import Session
from nas.search.time_account import TimeAccount
from nas.search.trial_judge import TrialJudge

EPOCHS = 4
EVENTS = (  # when, as a share of the time that the trials take; who
    (0.2, "leave", 1),
    (0.35, "join", 3),
    (0.55, "leave", 2),
    (0.7, "join", 4),
)


@dataclass(frozen=True)
class Played:
    """`share` of the slots that trained over `seconds`, `steady`: while no node came or went;
    `ask`, `tell`: medians of process seconds; `driver`: the share of the time that the driver
    computed. `lost`: trials whose node left, which went on; `again`: results told twice."""

    share: float
    steady: float
    seconds: float
    trials: int
    lost: int
    again: int
    ask: float
    tell: float
    driver: float


@dataclass
class Clock:
    """`now`: seconds of the play. `computed`: of them, those that the driver computed."""

    now: float = 0.0
    computed: float = 0.0

    def spend(self, call: Callable[[], Any]) -> Any:
        """What it returns, once as many seconds have passed as it computed."""
        begun = process_time()
        result = call()
        spent = process_time() - begun
        self.now += spent
        self.computed += spent
        return result


@dataclass
class Slot:
    """`trial`: the name of what it trains, if anything. `number`: of the epoch that goes on, for
    the end of one that was lost means nothing; `begun`, `ends`: when it did, and is to."""

    node: int
    trial: str = ""
    epoch: int = 0
    number: int = -1
    begun: float = 0.0
    ends: float = 0.0


@dataclass
class Heard(SearchCallback):
    """Counts what the session says."""

    ended: list[str] = field(default_factory=list)
    lost: int = 0

    def on_result(self, session: SessionView, result: Any) -> None:
        self.ended.append(result.key)

    def on_message(self, text: str) -> None:
        self.lost += "its worker died" in text


class Player:
    """`sizes`: slots of each node by its number; the first three are there from the beginning."""

    def __init__(self, folder: Path, sizes: dict[int, int], trials: int, seconds: float) -> None:
        self.clock, self._rng, self._seconds = Clock(), random.Random(3), seconds
        self.heard, self._sizes = Heard(), sizes
        self.slots = [Slot(node) for node in range(3) for _ in range(sizes[node])]
        study = open_study(folder, run_config())
        run = run_config(trials=study.begun + trials)
        self.asks, self.tells = _timed(study, "ask"), _timed(study, "tell")
        self.session = Session(
            study,
            CandidateQueue(study, run.budget, None),
            SearchBudget(run.search, run.train),
            TrialJudge(run.search, run.train, run.objectives),
            TrialFiles(folder, run.search.stall_minutes),
            TimeAccount(len(self.slots), clock=lambda: self.clock.now),
            callbacks=[self.heard],
        )
        self._length = trials / len(self.slots) * EPOCHS * seconds
        self._numbers = count()
        self._waiting: list[tuple[float, int, Slot]] = []  # when which epoch ends, and whose
        self._events = list(EVENTS)
        self.busy: list[tuple[float, float]] = []  # each epoch that was trained
        self.there: list[tuple[float, int]] = [(0.0, len(self.slots))]  # since when, how many
        self.last = 0.0  # when the last trial began

    def play(self) -> None:
        """Until the session is over."""
        while True:
            self._fill()
            when, *_ = self._waiting[0] if self._waiting else (float("inf"),)
            if self._events and self._events[0][0] * self._length <= max(when, self.clock.now):
                self._happen(*self._events.pop(0))
                continue
            if not self._waiting:
                return
            when, number, slot = heapq.heappop(self._waiting)
            self.clock.now = max(self.clock.now, when)
            if slot.number == number:
                self._report(slot)

    def _fill(self) -> None:
        for slot in self.slots:
            if not slot.trial:
                name = f"t{next(self._numbers)}"
                candidate = self.clock.spend(lambda name=name: self.session.start(name))
                if candidate is None:
                    return
                slot.trial, slot.epoch, self.last = name, 0, self.clock.now
                self._train(slot)
                if self._waiting[0][0] <= self.clock.now:  # who reported meanwhile comes first
                    return

    def _train(self, slot: Slot) -> None:
        slot.number, slot.begun = next(self._numbers), self.clock.now
        slot.ends = slot.begun + self._rng.uniform(0.5, 1.5) * self._seconds
        heapq.heappush(self._waiting, (slot.ends, slot.number, slot))

    def _report(self, slot: Slot) -> None:
        slot.epoch += 1
        self.busy.append((slot.begun, slot.ends))
        dice = self._rng.uniform(0.5, 0.9)
        report = Report(
            fidelity=Fidelity(slot.epoch),
            dice=dice,
            seconds=slot.ends - slot.begun,
            curve=(dice,) * slot.epoch,
            done=slot.epoch == EPOCHS,
        )
        trial = slot.trial
        if self.clock.spend(lambda: self.session.report(trial, report)):
            self._train(slot)
            return
        slot.trial, slot.number = "", -1
        self.clock.spend(lambda: self.session.end(trial))

    def _happen(self, share: float, what: str, node: int) -> None:
        self.clock.now = max(self.clock.now, share * self._length)
        if what == "join":
            self.slots += [Slot(node) for _ in range(self._sizes[node])]
        else:
            gone = [slot for slot in self.slots if slot.node == node]
            self.slots = [slot for slot in self.slots if slot.node != node]
            for slot in gone:
                slot.number = -1
                if trial := slot.trial:
                    self.busy.append((slot.begun, min(slot.ends, self.clock.now)))
                    self.clock.spend(lambda t=trial: self.session.on_worker_lost(t, counts=False))
        self.there.append((self.clock.now, len(self.slots)))
        self.session.resize(len(self.slots))


def play(journal: Path, slots: int, trials: int, seconds: float) -> Played:
    """Go on with a copy of the search in the folder `journal`."""
    third, rest = slots // 3, slots - slots // 3 * 2
    with TemporaryDirectory() as copy:
        folder = Path(copytree(journal, Path(copy) / "search"))
        sizes = {0: third, 1: third, 2: rest, 3: third, 4: rest}
        player = Player(folder, sizes, trials, seconds)
        player.play()
    begin = sorted(start for start, _ in player.busy)[slots - 1]  # every slot has had a trial
    changes = [when for when, _ in player.there[1:]]
    return Played(
        share=_share(player, begin, player.last),
        steady=_share(player, begin, min(changes, default=player.last)),
        seconds=player.last - begin,
        trials=len(player.heard.ended),
        lost=player.heard.lost,
        again=len(player.heard.ended) - len(set(player.heard.ended)),
        ask=median(player.asks),
        tell=median(player.tells),
        driver=player.clock.computed / player.clock.now,
    )


def _share(player: Player, begin: float, end: float) -> float:
    """Of the slot-seconds there were, those that trained."""
    trained = sum(max(0.0, min(end, b) - max(begin, a)) for a, b in player.busy)
    ends = [when for when, _ in player.there[1:]] + [float("inf")]
    there = sum(
        slots * max(0.0, min(end, until) - max(begin, since))
        for (since, slots), until in zip(player.there, ends, strict=True)
    )
    return trained / there


def _timed(study: Any, method: str) -> list[float]:
    """The process seconds of every call of the study's method from now on."""
    call = getattr(study, method)
    seconds: list[float] = []

    def timed(*arguments: Any) -> Any:
        begun = process_time()
        result = call(*arguments)
        seconds.append(process_time() - begun)
        return result

    setattr(study, method, timed)
    return seconds
