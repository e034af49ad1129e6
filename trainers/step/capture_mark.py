"""A note that a training must not be captured as CUDA graphs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CaptureMark:
    """A file beside the checkpoint; without a `path` nothing is noted.

    It is there while a step is captured, and afterwards where that failed, also where it ended the
    process: whoever goes on from the checkpoint does not try again.
    """

    path: Path | None

    @classmethod
    def beside(cls, checkpoint: Path | None) -> CaptureMark:
        """That of the training which the checkpoint belongs to."""
        return cls(checkpoint and checkpoint.with_suffix(".no_graphs.txt"))

    @property
    def reason(self) -> str | None:
        """Why nothing may be captured; None where it may."""
        if self.path is None or not self.path.exists():
            return None
        return self.path.read_text().strip() or "an earlier capture failed"

    def write(self, reason: str) -> None:
        """Note it. On a disk where it cannot be written, the training is none the worse."""
        if self.path is not None:
            with suppress(OSError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.write_text(reason)

    def clear(self) -> None:
        """Remove the note."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
