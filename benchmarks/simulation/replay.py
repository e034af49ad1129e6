"""A search in simulated time: workers train asynchronously, each epoch takes what the table says.

Asking, reporting and telling take no time. What is asked for, stopped and told is the policy's.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from .table import Network

WORKERS = 4


@dataclass
class Run:
    """One training under way: `done` epochs of the network named `key`."""

    name: str
    key: str
    done: int = 0


class Policy(Protocol):
    """A search algorithm with its scheduler, as the event loop drives it."""

    def ask(self, begun: int) -> Run | None:
        """What to train next, now that `begun` epochs were begun in all; None for nothing yet."""

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        """After every epoch but the last: whether to go on. `curve`: Dice of all its epochs."""

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        """The run was trained to the end (`complete`), or `report` stopped it."""


Completion = tuple[int, str]
"""Epochs trained so far by all workers together, and the network whose training was complete."""


def replay(
    policy: Policy, networks: Mapping[str, Network], seed: int, budget: int, workers: int = WORKERS
) -> list[Completion]:
    """Train what `policy` asks for until `budget` epochs were begun; the complete trainings.

    What is under way when the budget ends is lost, as in a search that is cut off.
    """
    return list(_events(policy, networks, seed, budget, workers))


def _events(
    policy: Policy, networks: Mapping[str, Network], seed: int, budget: int, workers: int
) -> Iterator[Completion]:
    epochs_under_way: list[tuple[float, int, Run]] = []
    clock, begun, trained, idle, order = 0.0, 0, 0, workers, count()

    def begin(run: Run) -> None:
        ends = clock + networks[run.key].seconds
        heapq.heappush(epochs_under_way, (ends, next(order), run))

    while True:
        while idle and begun < budget and (asked := policy.ask(begun)):
            begin(asked)
            begun, idle = begun + 1, idle - 1
        if not epochs_under_way:
            return
        clock, _, run = heapq.heappop(epochs_under_way)
        trained, run.done = trained + 1, run.done + 1
        whole = networks[run.key].curve(seed)
        curve = whole[: run.done]
        complete = len(curve) == len(whole)
        if not complete and policy.report(run, curve):
            if begun < budget:
                begin(run)
                begun += 1
            continue
        policy.end(run, curve, complete)
        idle += 1
        if complete:
            yield trained, run.key
