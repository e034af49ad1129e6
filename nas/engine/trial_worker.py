"""The Ray worker that evaluates candidates, one after the other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.node_cache import volumes_here
from nas.engine.watchdog import Watchdog

if TYPE_CHECKING:
    from nas.engine.evaluation import Evaluation, Report


class TrialWorker(tune.Trainable):
    """One step is one epoch; see `Evaluation`, and `tune_run` for the keys of its config.

    All that it computes, imports included, it computes within the `MachineLock`, so that nothing
    disturbs the measurement of a latency. Ray builds a worker once and resets it for every further
    candidate.

    A step that hangs ends the process; see `Watchdog`. The worker that takes its place finds the
    trace `checkpoints/KEY.hang.txt` and reports the candidate as failed.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Open what all candidates share: the search's settings, volumes and cases."""
        self._machine_lock = MachineLock.named(config["machine_lock"])
        with self._machine_lock.shared():
            import torch

            from nas.config.run_config import RunConfig
            from nas.config.yaml_file import read_config
            from trainers.data.cache import VolumeCache
            from trainers.data.splits import split_cases

            self._directory = Path(config["directory"])
            self._config = read_config(RunConfig, self._directory / "config.yaml")
            self._warnings: list[str] = []
            volumes = volumes_here(
                Path(config["cache"]), config["driver_node"], self._warnings.append
            )
            self._cache = VolumeCache.open(volumes)
            self._cases = split_cases(self._cache.names, self._directory / "split.json")
            torch.set_num_threads(self._config.resources.cpus)
            self._synchronise = torch.cuda.synchronize if self._config.resources.gpus else _nothing
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next candidate. Returns True: the worker can be used again."""
        self._evaluation: Evaluation | None = None
        self._task = new_config
        self._checkpoint = self._directory / "checkpoints" / f"{new_config['key']}.pt"
        seconds = 60 * self._config.search.stall_minutes
        self._stall = Watchdog(self._checkpoint.with_suffix(".hang.txt"), seconds)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch."""
        with self._machine_lock.shared():
            waited = self._machine_lock.waited
            report = self._advance()
        if self._warnings and not report.warning:
            report = replace(report, warning=self._warnings.pop())
        trained = report.seconds - (self._machine_lock.waited - waited)
        return {"report": replace(report, seconds=max(trained, 0.0)), "done": report.done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the trainer's own file, named after the architecture's key, holds everything."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _advance(self) -> Report:
        if self._stall.timed_out:
            from nas.engine.evaluation import given_up

            return given_up(self._stall.reason, self._checkpoint)
        with self._stall.watching():
            if self._evaluation is None:
                self._evaluation = self._begin()
            report = self._evaluation.advance()
        if report.done:
            self._evaluation = None  # its memory is free while the next candidate is chosen
        return report

    def _begin(self) -> Evaluation:
        from nas.engine.evaluation import Evaluation

        self._synchronise()  # a GPU that the candidate before has broken raises: Ray starts afresh
        architecture = self._config.space.space().from_json(json.loads(self._task["architecture"]))
        return Evaluation(
            architecture, self._config, self._cache, self._cases, self._checkpoint, self._pause
        )

    def _pause(self) -> None:
        self._machine_lock.pause(self._leave)
        self._stall.heartbeat()

    def _leave(self) -> None:
        """Before the lock makes this worker wait, which is no hang."""
        self._synchronise()
        self._stall.pause()


def _nothing() -> None:
    """A CPU has done its work when a step returns."""
