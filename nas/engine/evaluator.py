"""How a candidate gets its Dice: the seam between a search and whatever trains for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nas.engine.report import Report
from search_spaces.space import Architecture

if TYPE_CHECKING:
    from trainers.data.cache import VolumeCache
    from trainers.data.splits import Cases


@dataclass(frozen=True)
class Workspace:
    """What an evaluator works with in one process.

    `directory`: the search's own, shared by all processes, for what candidates have in common.
    `pause` is to be called between steps: others on this machine may have to compute alone, and it
    is the sign of life without which the process is ended.
    """

    directory: Path
    cache: VolumeCache
    cases: Cases
    pause: Callable[[], None]


class Evaluation(Protocol):
    """One candidate under way."""

    def advance(self) -> Report:
        """Do one step, mostly an epoch, and tell how far it is; called until it is done.

        What is the network's own fault is a report with a reason, not an error. An OSError or a
        GpuLostError may be raised: the candidate is then begun again elsewhere.
        """


class Evaluator(Protocol):
    """Evaluates candidates, one after the other. It is pickled to the processes that do it."""

    def prepare(self, workspace: Workspace) -> None:
        """Called once in each process, before its first candidate."""

    def start(self, architecture: Architecture, checkpoint: Path) -> Evaluation:
        """Begin to evaluate, or go on from the file `checkpoint` where a process before left one.

        Its weights are in that file, under `weights`, once the evaluation is done.
        """
