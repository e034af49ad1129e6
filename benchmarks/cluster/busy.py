"""The engine and 64 workers that sleep in the place of training, while nodes come and go."""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray import tune
from ray.cluster_utils import Cluster as Head

from cluster.asks import open_study, run_config
from cluster.nodes import NAME, Node
from nas.config.resources import Resources
from nas.engine.cluster import Cluster
from nas.engine.report import Fidelity, Report
from nas.engine.trial_files import TrialFiles
from nas.engine.trial_worker import WorkerSettings
from nas.engine.tune_run import run_trials
from nas.search.callback import SearchCallback, SessionView
from nas.search.candidate_queue import CandidateQueue
from nas.search.search_budget import SearchBudget
from nas.search.session import Session
from nas.search.time_account import TimeAccount
from nas.search.trial_judge import TrialJudge

EPOCHS = 4
EVENTS = (  # when, as a share of the time that the trials take; who
    (0.25, "kill", "b"),
    (0.40, "start", "d"),
    (0.60, "kill", "c"),
    (0.70, "start", "e"),
)


@dataclass(frozen=True)
class Busy:
    """`share` of the slots that slept over `seconds`; `ask`, `tell`: medians by the clock.

    `lost`: trials that went on after the death of their node; `again`: results that were told
    twice; `driver_share` of a core that the driver computed; `until_full`: seconds from the start
    of each node until each of its slots had had a trial.
    """

    share: float
    seconds: float
    trials: int
    lost: int
    again: int
    ask: float
    tell: float
    driver_share: float
    until_full: Sequence[float]


class Sleeper(tune.Trainable):
    """Sleeps in place of training, and writes down when."""

    def setup(self, config: dict) -> None:
        self.epoch, self.config = 0, config

    def reset_config(self, config: dict) -> bool:
        self.setup(config)
        return True

    def step(self) -> dict:
        begin, mean = self._note("begin"), self.config["seconds"]
        time.sleep(random.uniform(0.5 * mean, 1.5 * mean))
        seconds = self._note("end") - begin
        self.epoch += 1
        dice = random.uniform(0.5, 0.9)
        report = Report(
            fidelity=Fidelity(self.epoch),
            dice=dice,
            seconds=seconds,
            curve=(dice,) * self.epoch,
            done=self.epoch == EPOCHS,
        )
        return {"report": report}

    def _note(self, what: str) -> float:
        now = time.monotonic()
        line = f"{os.environ[NAME]} {os.getpid()} {self.epoch} {what} {now}\n"
        with open(self.config["notes"], "a") as file:  # noqa: PTH123
            file.write(line)
        return now

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass

    def load_checkpoint(self, checkpoint: object) -> None:
        pass


@dataclass
class Script(SearchCallback):
    """Kills and starts nodes at their times, and counts what the session says."""

    nodes: dict[str, Node]
    length: float
    lost: int = 0
    ended: list[str] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)
    _begun: float | None = None
    _done: int = 0

    def on_tick(self, session: SessionView) -> None:
        full = len(session.running) >= session.time.slots
        if self._begun is None:
            self._begun = time.monotonic() if full else None
            return
        while self._done < len(EVENTS):
            share, what, name = EVENTS[self._done]
            if time.monotonic() - self._begun < share * self.length:
                return
            if what == "start":
                self.started[name] = time.monotonic()
            getattr(self.nodes[name], what)()
            self._done += 1

    def on_result(self, session: SessionView, result: Any) -> None:
        self.ended.append(result.key)

    def on_message(self, text: str) -> None:
        self.lost += "its worker died" in text


def play(journal: Path, options: argparse.Namespace) -> Busy:
    """Go on with a copy of the search in the folder `journal`."""
    head = Head(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    sizes = [options.slots // 3] * 2 + [options.slots - options.slots // 3 * 2]
    nodes = {
        n: Node(n, s, head.address) for n, s in zip("abcde", [*sizes, *sizes[1:]], strict=True)
    }
    started = {name: time.monotonic() for name in "abc"}
    for name in "abc":
        nodes[name].start()
    try:
        with TemporaryDirectory() as copy:
            folder = Path(copytree(journal, Path(copy) / "search"))
            return _play(folder, nodes, started, head.address, options)
    finally:
        for node in nodes.values():
            node.kill()
        ray.shutdown()
        head.shutdown()


def _play(
    folder: Path,
    nodes: dict[str, Node],
    started: dict[str, float],
    address: str,
    options: argparse.Namespace,
) -> Busy:
    study = open_study(folder, run_config())
    run = run_config(trials=study.begun + options.trials)
    asks, tells = _timed(study, "ask"), _timed(study, "tell")
    length = options.trials / options.slots * EPOCHS * options.seconds
    script = Script(nodes, length, started=started)
    with Cluster(Resources(), address) as cluster:
        while cluster.room < options.slots:
            time.sleep(0.5)
        session = Session(
            study,
            CandidateQueue(study, run.budget, None),
            SearchBudget(run.search, run.train),
            TrialJudge(run.search, run.train, run.objectives),
            TrialFiles(folder, run.search.stall_minutes),
            TimeAccount(cluster.slots),
            callbacks=[script],
        )
        settings = WorkerSettings(
            directory=folder,
            volumes=folder,
            machine_lock="size",
            evaluator=None,  # type: ignore[arg-type]  # nobody trains
            stall_minutes=run.search.stall_minutes,
        )
        notes = folder / "notes.txt"
        begun, computed = time.monotonic(), time.process_time()
        if not run_trials(session, cluster, settings, _with_settings(options, notes)):
            raise RuntimeError("the run ended before its trials")
        used = (time.process_time() - computed) / (time.monotonic() - begun)
    lines = [line.split() for line in notes.read_text().splitlines()]
    share, seconds, full = share_busy(
        [(n, p, int(e), w, float(t)) for n, p, e, w, t in lines], nodes
    )
    return Busy(
        share=share,
        seconds=seconds,
        trials=len(script.ended),
        lost=script.lost,
        again=len(script.ended) - len(set(script.ended)),
        ask=statistics.median(asks),
        tell=statistics.median(tells),
        driver_share=used,
        until_full=[full[name] - script.started[name] for name in sorted(full)],
    )


Note = tuple[str, str, int, str, float]  # node, process, epoch, begin or end, when


def share_busy(
    notes: Sequence[Note], nodes: dict[str, Node]
) -> tuple[float, float, dict[str, float]]:
    """The share of slot-seconds asleep, the seconds that it is of, and when each node was full.

    A node counts from the moment when each of its slots had a trial, until it is killed or the last
    trial of all starts.
    """
    last = max(when for *_, epoch, what, when in notes if what == "begin" and epoch == 0)
    asleep = there = 0.0
    full: dict[str, float] = {}
    for name, node in nodes.items():
        own = [note for note in notes if note[0] == name]
        first: dict[str, float] = {}  # of each process
        for _, process, _, _, when in own:
            first[process] = min(when, first.get(process, when))
        if len(first) < node.slots:
            continue
        full[name] = since = sorted(first.values())[node.slots - 1]
        until = min(last, node.killed)
        if until <= since:
            continue
        there += node.slots * (until - since)
        for process in first:
            times = [(what, when) for _, p, _, what, when in own if p == process]
            times.append(("end", min(node.killed, last)))
            for (what, begin), (_, end) in pairwise(times):
                if what == "begin":
                    asleep += max(0.0, min(until, end) - max(since, begin))
    return asleep / there, last - min(full.values()), full


def _with_settings(options: argparse.Namespace, notes: Path) -> type[Sleeper]:
    settings = {"seconds": options.seconds, "notes": str(notes)}

    class Set(Sleeper):
        def setup(self, config: dict) -> None:
            super().setup({**config, **settings})

    return Set


def _timed(study: Any, method: str) -> list[float]:
    """The seconds of every call of the study's method from now on."""
    call: Callable = getattr(study, method)
    seconds: list[float] = []

    def timed(*arguments: Any) -> Any:
        begun = time.monotonic()
        try:
            return call(*arguments)
        finally:
            seconds.append(time.monotonic() - begun)

    setattr(study, method, timed)
    return seconds
