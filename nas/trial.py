"""The Ray worker that evaluates candidates, one after the other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from nas.gate import Gate

if TYPE_CHECKING:
    from nas.evaluation import Evaluation


class TrialWorker(tune.Trainable):
    """One step is one epoch; see `Evaluation`, and `nas.engine` for the keys of its config.

    All that it computes, imports included, it computes within the gate of its machine, so that
    nothing disturbs the measurement of a latency. Ray builds a worker once and resets it for every
    further candidate. A reset does nothing but note the task: Ray loses a trial whose worker dies
    in a reset.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Open what all candidates share: the search's settings, volumes and cases."""
        self._gate = Gate(Gate.default_path(config["gate"]))
        with self._gate.computing():
            import torch

            from nas.config import RunConfig
            from nas.config_file import read_config
            from trainers.data.cache import VolumeCache
            from trainers.data.splits import split_cases

            self._directory = Path(config["directory"])
            self._config = read_config(RunConfig, self._directory / "config.yaml")
            self._cache = VolumeCache.open(Path(config["cache"]))
            self._cases = split_cases(self._cache.names, self._directory / "split.json")
            torch.set_num_threads(self._config.resources.cpus)
            self._synchronise = torch.cuda.synchronize if self._config.resources.gpus else _nothing
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next candidate. Returns True: the worker can be used again."""
        self._evaluation: Evaluation | None = None
        self._task = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch."""
        with self._gate.computing():
            if self._evaluation is None:
                self._evaluation = self._begin()
            waited = self._gate.waited
            report = self._evaluation.advance()
            if report.done:
                self._evaluation = None  # its memory is free while the next candidate is chosen
        trained = report.seconds - (self._gate.waited - waited)
        return {"report": replace(report, seconds=max(trained, 0.0)), "done": report.done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the trainer's own file, named after the architecture's key, holds everything."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _begin(self) -> Evaluation:
        from nas.evaluation import Evaluation

        architecture = self._config.space.space().from_json(json.loads(self._task["architecture"]))
        checkpoint = self._directory / "checkpoints" / f"{self._task['key']}.pt"
        return Evaluation(
            architecture, self._config, self._cache, self._cases, checkpoint, self._pause
        )

    def _pause(self) -> None:
        self._gate.pause(self._synchronise)


def _nothing() -> None:
    """A CPU has done its work when a step returns."""
