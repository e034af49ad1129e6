"""What many architectures cost, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nas.analysis.preview.processes import cores, server, settle
from nas.config.resources import Resources
from nas.config.run_config import RunConfig
from nas.cost.count import cost_of
from nas.pareto.budget import Budget
from nas.study.training_cost import TrainingCosts
from search_spaces.space import Architecture
from trainers.config import TrainConfig

ToldTrial = TypeVar("ToldTrial")
Costs = dict[str, float]
Counted = Costs | str  # a text says why there are none
Progress = Callable[[int, int, str], None]

WORTH_A_PROCESS = 30  # architectures; a process takes seconds to begin
CHUNK = 5  # architectures that a process takes at a time


@dataclass(frozen=True)
class Setting:
    """What decides the costs of an architecture: channels in, classes out, how it is trained."""

    channels: int
    classes: int
    train: TrainConfig
    resources: Resources

    @classmethod
    def of(cls, config: RunConfig, channels: int, classes: int) -> Setting:
        """The setting of a run's trials."""
        return cls(channels, classes, config.train, config.resources)


def count_work(setting: Setting, architecture: Architecture) -> Counted:
    """Parameters, and multiply-accumulates of a patch."""
    return _told(partial(_work, setting), architecture)


def count_memory(setting: Setting, architecture: Architecture) -> Counted:
    """Bytes at the peak of a training step."""
    return _told(partial(_memory, setting), architecture)


def _told(count: Callable[[Architecture], Costs], architecture: Architecture) -> Counted:
    try:
        return count(architecture)
    except Exception as error:  # whatever a network raises, it is the network's own end
        return f"cannot be built: {error}"


def _work(setting: Setting, architecture: Architecture) -> Costs:
    cost = cost_of(architecture, setting.channels, setting.classes, setting.train.patch)
    return {"params": cost.params, "macs": cost.macs}


def _memory(setting: Setting, architecture: Architecture) -> Costs:
    train, resources = setting.train, setting.resources
    count = TrainingCosts(train, resources, Budget(), setting.channels, setting.classes)
    return {"memory": count.memory(architecture)}


class Counter:
    """Maps a function over architectures, in processes where there are enough of them."""

    def __init__(self, pool: ProcessPoolExecutor | None, progress: Progress) -> None:
        self._pool, self._progress = pool, progress

    def map(
        self, count: Callable[[Architecture], ToldTrial], points: Sequence[Architecture], what: str
    ) -> list[ToldTrial]:
        """The answers in order; `what` names them to the progress."""
        answers: list[ToldTrial] = []
        pool = self._pool
        for answer in pool.map(count, points, chunksize=CHUNK) if pool else map(count, points):
            answers.append(answer)
            self._progress(len(answers), len(points), what)
        return answers


@contextmanager
def counter(points: int, progress: Progress) -> Iterator[Counter]:
    """A counter for about so many architectures."""
    processes = min(cores(), points // WORTH_A_PROCESS)
    if processes < 2:
        yield Counter(None, progress)
        return
    with ProcessPoolExecutor(processes, mp_context=server(), initializer=settle) as pool:
        yield Counter(pool, progress)
