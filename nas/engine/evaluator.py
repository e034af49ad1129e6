"""How a candidate gets its Dice: the seam between a search and whatever trains for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nas.engine.report import Report
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.errors import UserError

if TYPE_CHECKING:
    from trainers.data.cache import VolumeCache
    from trainers.data.splits import Cases

ENTRY_POINTS = "segnas.evaluators"  # the group in which other packages offer evaluators
TRAINING = "training"  # the evaluator that is here


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

        What is the network's own fault is a report with a reason, not an error. An OSError may be
        raised: the candidate is then begun again elsewhere.
        """


class Evaluator(Protocol):
    """Evaluates candidates, one after the other. It is pickled to the processes that do it."""

    def prepare(self, workspace: Workspace) -> None:
        """Called once in each process, before its first candidate."""

    def start(self, architecture: Architecture, checkpoint: Path) -> Evaluation:
        """Begin to evaluate, or go on from the file `checkpoint` where a process before left one.

        Its weights are in that file, under `weights`, once the evaluation is done.
        """


Make = Callable[..., Evaluator]
"""`make(train=TrainConfig, seed=int, device="cpu" or "cuda", **arguments)`."""


def make_evaluator(
    named: str | Mapping[str, Any], train: TrainConfig, seed: int, device: str
) -> Evaluator:
    """The evaluator that `search.evaluator` names, with the arguments that it gives.

    Raises UserError for an unknown name and for arguments that it does not take.
    """
    arguments = dict(named) if isinstance(named, Mapping) else {"name": named}
    name = arguments.pop("name", None)
    try:
        return _find(name)(train=train, seed=seed, device=device, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"search.evaluator: {name} cannot be made: {error}") from error


def _find(name: object) -> Make:
    from nas.engine.train_from_scratch import TrainFromScratch

    if name == TRAINING:
        return TrainFromScratch
    offered = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if name not in offered:
        known = ", ".join([TRAINING, *offered])
        raise UserError(f"search.evaluator = {name!r}: there are {known}")
    entry = offered[str(name)]
    try:
        make: Make = entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"entry point {entry.name} = {entry.value}: {error}") from error
    return make
