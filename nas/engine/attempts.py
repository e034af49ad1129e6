"""A checkpoint that one worker after the other writes, without harm from who lives on unheard."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainers.atomic import remove_drafts

ATTEMPT = ".attempt-"  # in the names of what only one attempt at a training writes
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Attempts:
    """Those at the training of which `checkpoint` holds what it has come to.

    A training whose worker is lost is taken up by another one, and the first may live on: on a node
    that was cut off, or in a process that was stopped. So each attempt saves to a file of its own,
    and who hears its reports takes what is there for the checkpoint. A worker that is not heard any
    more can spoil nothing, however late it writes.
    """

    checkpoint: Path

    def file(self, attempt: str) -> Path:
        """What one attempt writes; of the same stem as the checkpoint."""
        return self.checkpoint.with_suffix(ATTEMPT + attempt)

    def begin(self, attempt: str) -> Path:
        """`file`, with what the training has come to so far, if anything; for its worker.

        Where a full disk has no room for a copy, the training begins again. Raises OSError where
        what there is cannot be read: a fresh process can go on.
        """
        try:
            _same_content(self.checkpoint, self.file(attempt))
        except FileNotFoundError:
            pass
        except OSError as error:
            self.forget(attempt)  # what is half copied
            if error.errno not in FULL:
                raise
        return self.file(attempt)

    def accept(self, attempt: str) -> None:
        """Take what the attempt has saved, if anything, for the checkpoint; to be called with each
        of its reports. Raises OSError."""
        draft = self.checkpoint.with_name(f".{self.checkpoint.stem}{ATTEMPT}{attempt}")
        with suppress(FileNotFoundError):
            _same_content(self.file(attempt), draft)
            draft.replace(self.checkpoint)

    def forget(self, attempt: str) -> None:
        """Remove the file of an attempt that has ended; one that cannot be removed is left."""
        with suppress(OSError):
            self.file(attempt).unlink(missing_ok=True)


def remove_attempts(folder: Path) -> None:
    """Those that killed processes left at the trainings in this folder, and what they left half
    written, once nobody trains there any more. Raises OSError."""
    remove_drafts(folder)
    for path in folder.glob(f"*{ATTEMPT}*"):
        path.unlink(missing_ok=True)


def _same_content(old: Path, new: Path) -> None:
    """Neither file is ever written in place: a link is as good as a copy."""
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(old, new)
