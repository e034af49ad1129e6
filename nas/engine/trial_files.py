"""The files of a search's trials: their checkpoints, and the traces of those that hung."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.engine.watchdog import Watchdog
from nas.study.search_folder import checkpoint_in


@dataclass(frozen=True)
class TrialFiles:
    """`directory`: of the search. `stall_minutes`: a step that takes longer hangs."""

    directory: Path
    stall_minutes: float

    def checkpoint(self, key: str) -> Path:
        """What a training goes on from, and its weights in the end; by the architecture's key."""
        return checkpoint_in(self.directory, key)

    def watchdog(self, key: str) -> Watchdog:
        """The watch over its steps."""
        return Watchdog(self.checkpoint(key).with_suffix(".hang.txt"), 60 * self.stall_minutes)

    def tidy(self, key: str, keep: bool) -> None:
        """Of a trial that ended keep the weights, or nothing.

        Raises OSError or UserError where that cannot be done: the checkpoint is left as it is.
        """
        from trainers.checkpoint import keep_weights_only
        from trainers.step import CaptureMark

        checkpoint = self.checkpoint(key)
        CaptureMark.beside(checkpoint).clear()
        if not keep:
            checkpoint.unlink(missing_ok=True)
        elif checkpoint.exists():
            keep_weights_only(checkpoint)
