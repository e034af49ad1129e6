"""Processes beside this one, which have torch and the spaces imported already."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from typing import Protocol

import torch

from trainers.cores import usable_cores
from trainers.data.check.facts import Progress
from trainers.processes import Answer, Item, end_with_parent
from trainers.signals import ignore_terminal

# The last one is what torch's optimizers import when the first of them is made.
PRELOAD = ["nas.analysis.preview.survey", "nas.analysis.preview.time_candidates", "torch._dynamo"]
WORTH_A_PROCESS = 30  # items; a process takes seconds to begin
CHUNK = 5  # items that a process takes at a time


class Map(Protocol):
    """The answers of `work` to items, in order; `what` names the items to the progress."""

    def __call__(
        self, work: Callable[[Item], Answer], items: Sequence[Item], what: str
    ) -> list[Answer]: ...


@cache
def preloaded() -> ForkServerContext:
    """Starts processes from one that imports once for all, and begins to do so here."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ensure_running()
    return context


def begin_process(threads: int = 1) -> None:
    """The first thing in a process: Ctrl-C is its parent's to handle, without which it ends; torch
    takes `threads`."""
    ignore_terminal()
    end_with_parent()
    torch.set_num_threads(threads)


@contextmanager
def parallel_map(items: int, progress: Progress) -> Iterator[Map]:
    """A map on all cores, or in this process where about so many `items` are too few for that."""
    processes = min(usable_cores(), items // WORTH_A_PROCESS)
    pool = ProcessPoolExecutor(processes, preloaded(), begin_process) if processes > 1 else None

    def mapped(work: Callable[[Item], Answer], items: Sequence[Item], what: str) -> list[Answer]:
        answers: list[Answer] = []
        for answer in pool.map(work, items, chunksize=CHUNK) if pool else map(work, items):
            answers.append(answer)
            progress(len(answers), len(items), what)
        return answers

    with pool or nullcontext():
        yield mapped
