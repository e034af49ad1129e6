"""The Ray worker that evaluates candidates, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.evaluator import Evaluator, Workspace
from nas.engine.node_cache import volumes_here
from nas.engine.report import Report
from nas.engine.trial_files import TrialFiles
from search_spaces.registry import load_architecture

if TYPE_CHECKING:
    from nas.engine.evaluator import Evaluation


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What all workers of a search share.

    `volumes`: the folder of the prepared volumes; nodes other than `driver_node`, Ray's id of the
    one that runs the search, read a copy of their own. `machine_lock`: the name of the lock that
    workers compute within. `threads`: of the CPU; `gpu`: whether trials have one. `reseeded`: makes
    the evaluator of repeats that have another seed.
    """

    directory: Path
    volumes: Path
    machine_lock: str
    evaluator: Evaluator
    stall_minutes: float
    threads: int = 1
    gpu: bool = False
    reseeded: Callable[[int], Evaluator] | None = None
    driver_node: str | None = None


class TrialWorker(tune.Trainable):
    """One step is one step of an `Evaluation`, mostly an epoch.

    Its config has `settings` (`WorkerSettings`), and of each candidate the `record` (as text, or
    Ray makes every choice a column of its own), the `key` by which its files are named, the `seed`
    of a repeat, and the name of this `attempt` at it; see `TrialFiles`.

    All that it computes, imports included, it computes within the `MachineLock`, so that nothing
    disturbs the measurement of a latency. Ray builds a worker once and resets it for every further
    candidate. It never tells Ray that it is done: the session decides that, also for its last
    report.

    A step that hangs ends the process; see `Watchdog`. So it is a lost worker like any other, and
    the one that takes its place goes on from the checkpoint.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Open what all candidates share: the volumes, the cases and the evaluator."""
        settings: WorkerSettings = config["settings"]
        self._machine_lock = MachineLock.named(settings.machine_lock)
        self._files = TrialFiles(settings.directory, settings.stall_minutes)
        self._warnings: list[str] = []
        with self._machine_lock.shared():
            import torch

            from trainers.data.cache import VolumeCache
            from trainers.data.splits import split_cases

            torch.set_num_threads(settings.threads)
            self._synchronise = torch.cuda.synchronize if settings.gpu else _nothing
            volumes = volumes_here(settings.volumes, settings.driver_node, self._warnings.append)
            cache = VolumeCache.open(volumes)
            cases = split_cases(cache.names, settings.directory / "split.json")
            self._workspace = Workspace(settings.directory, cache, cases, self._pause)
            self._evaluator, self._reseeded = settings.evaluator, settings.reseeded
            self._evaluator.prepare(self._workspace)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next candidate. Returns True: the worker can be used again."""
        self._evaluation: Evaluation | None = None
        self._record, self._key = new_config["record"], new_config["key"]
        self._seed: int | None = new_config.get("seed")
        self._attempt: str | None = new_config.get("attempt")
        self._watchdog = self._files.watchdog(self._key)
        return True

    def step(self) -> dict[str, Any]:
        """Do one step of the candidate's evaluation."""
        with self._machine_lock.shared():
            waited = self._machine_lock.waited
            report = self._advance()
        if self._warnings and not report.warning:
            report = replace(report, warning=self._warnings.pop())
        trained = report.seconds - (self._machine_lock.waited - waited)
        return {"report": replace(report, seconds=max(trained, 0.0))}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the trainer's own file, named after the architecture's key, holds everything."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _advance(self) -> Report:
        with self._watchdog.watching():
            if self._evaluation is None:
                self._evaluation = self._begin()
            report = self._evaluation.advance()
        if report.done:
            self._evaluation = None  # its memory is free while the next candidate is chosen
        return report

    def _begin(self) -> Evaluation:
        self._synchronise()  # a GPU that the candidate before has broken raises: Ray starts afresh
        architecture = load_architecture(json.loads(self._record))
        evaluator = self._evaluator
        if self._seed is not None and self._reseeded:
            evaluator = self._reseeded(self._seed)
            evaluator.prepare(self._workspace)
        if self._attempt is None:
            return evaluator.start(architecture, self._files.checkpoint(self._key))
        return evaluator.start(architecture, self._files.attempts(self._key).begin(self._attempt))

    def _pause(self) -> None:
        self._machine_lock.pause(self._leave)
        self._watchdog.heartbeat()

    def _leave(self) -> None:
        """Before the lock makes this worker wait, which is no hang."""
        self._synchronise()
        self._watchdog.pause()


def _nothing() -> None:
    """A CPU has done its work when a step returns."""
