"""The files of a search's trials: their checkpoints, and the traces of those that hung."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nas.engine.watchdog import Watchdog
from nas.study.search_folder import checkpoint_in
from trainers.atomic import remove_drafts

RECENT = 16  # checkpoints that may have been written when the search was killed
ATTEMPT = ".attempt-"  # in the names of what only one attempt at a training writes


@dataclass(frozen=True)
class TrialFiles:
    """`directory`: of the search. `stall_minutes`: a step that takes longer hangs.

    A training whose worker is lost is taken up by another one, and the first may live on: on a node
    that was cut off, or in a process that was stopped. So each attempt at a training saves to a
    file of its own, and who hears its reports takes what is there for the training's checkpoint. A
    worker that is not heard any more can spoil nothing, however late it writes.
    """

    directory: Path
    stall_minutes: float

    def checkpoint(self, key: str) -> Path:
        """What a training goes on from, and its weights in the end; by the architecture's key."""
        return checkpoint_in(self.directory, key)

    def attempt(self, name: str, attempt: str) -> Path:
        """What one attempt at a training writes; of the same stem as its checkpoint."""
        return self.checkpoint(name).with_suffix(ATTEMPT + attempt)

    def begin(self, name: str, attempt: str) -> Path:
        """`attempt`, with what the training has come to so far, if anything; for its worker.

        Where that can neither be linked nor copied, the training begins again.
        """
        own = self.attempt(name, attempt)
        with suppress(OSError):
            _same_content(self.checkpoint(name), own)
        return own

    def accept(self, name: str, attempt: str) -> None:
        """Take what the attempt has saved, if anything, for the training's checkpoint; to be called
        with each of its reports. Raises OSError."""
        checkpoint = self.checkpoint(name)
        draft = checkpoint.with_name(f".{name}{ATTEMPT}{attempt}")
        with suppress(FileNotFoundError):
            _same_content(self.attempt(name, attempt), draft)
            draft.replace(checkpoint)

    def forget(self, name: str, attempt: str) -> None:
        """Remove the file of an attempt that has ended; one that cannot be removed is left."""
        with suppress(OSError):
            self.attempt(name, attempt).unlink(missing_ok=True)

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
        remove_drafts(folder)
        for path in folder.glob(f"*{ATTEMPT}*"):
            path.unlink(missing_ok=True)
        for trace in folder.glob("*.hang.txt"):
            if not trace.stat().st_size:  # its process was killed, and did not hang
                trace.unlink()
        newest = sorted(folder.glob("*.pt"), key=lambda path: path.stat().st_mtime)[-RECENT:]
        for name in ended.keys() & {path.stem for path in newest}:
            self.tidy(name, ended[name])

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


def _same_content(old: Path, new: Path) -> None:
    """Neither file is ever written in place: a link is as good as a copy."""
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(old, new)
