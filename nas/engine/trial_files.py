"""The files of a search's trials: their checkpoints, and the traces of those that hung."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nas.engine.attempts import Attempts, remove_attempts
from nas.engine.watchdog import Watchdog
from nas.study.search_folder import checkpoint_in

RECENT = 16  # checkpoints that may have been written when the search was killed


@dataclass(frozen=True)
class TrialFiles:
    """`directory`: of the search. `stall_minutes`: a step that takes longer hangs. Each attempt at
    a training writes a file of its own; see `Attempts`."""

    directory: Path
    stall_minutes: float

    def checkpoint(self, key: str) -> Path:
        """What a training goes on from, and its weights in the end; by the architecture's key."""
        return checkpoint_in(self.directory, key)

    def attempts(self, name: str) -> Attempts:
        """Those at the training of that name."""
        return Attempts(self.checkpoint(name))

    def remove(self, name: str) -> None:
        """Keep nothing of a training's weights, if they can be removed."""
        with suppress(OSError):
            self.checkpoint(name).unlink(missing_ok=True)

    def clear(self, ended: Mapping[str, bool]) -> None:
        """Remove what killed processes left, once nobody trains any more.

        `ended`: the names of trainings that have ended, and whether their weights are kept. Of the
        newest checkpoints those of such trainings are tidied: a process may have died just before.
        Raises as `tidy` does.
        """
        folder = self.checkpoint("").parent
        remove_attempts(folder)
        for trace in folder.glob("*.hang.txt"):
            if not trace.stat().st_size:  # its process was killed, and did not hang
                trace.unlink()
        newest = sorted(folder.glob("*.pt"), key=lambda path: path.stat().st_mtime)[-RECENT:]
        for name in ended.keys() & {path.stem for path in newest}:
            self.tidy(name, ended[name])

    def watchdog(self, key: str) -> Watchdog:
        """The watch over its steps."""
        return Watchdog(self.checkpoint(key).with_suffix(".hang.txt"), 60 * self.stall_minutes)

    def hang(self, key: str) -> str | None:
        """Why the last process that trained it died, where it hung and wrote where."""
        watchdog = self.watchdog(key)
        with suppress(OSError):  # of a server that does not answer
            return watchdog.reason if watchdog.timed_out else None
        return None

    def set_hang_aside(self, key: str) -> None:
        """Its trace is no longer that of the last process that trained it, and is kept beside."""
        trace = self.watchdog(key).trace
        with suppress(OSError):
            trace.replace(trace.with_name(f"{key}.hung-before.txt"))

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
