"""The same work on many cases, in as many processes as cores and memory allow."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing.context import BaseContext
from threading import Thread
from typing import TypeVar

import torch

from trainers.cores import usable_cores
from trainers.errors import UserError
from trainers.signals import ignore_terminal
from trainers.volumes.memory import free_memory

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PRELOAD = ["trainers.data.prepare_case", "trainers.data.check.one_case"]
WORTH_PROCESSES = 2**28  # bytes of work in all; processes take seconds to begin
MEMORY = 0.8  # share of what is free that all may take together


def processes_for(sizes: Sequence[float]) -> int:
    """How many at a time, where each item takes so many bytes of memory; 1 is this process."""
    if sum(sizes) < WORTH_PROCESSES or multiprocessing.current_process().daemon:
        return 1
    fit = MEMORY * free_memory() // max(sizes)
    return max(1, min(usable_cores(), len(sizes), int(fit)))


def in_processes(
    work: Callable[[Item], Answer], items: Sequence[Item], processes: int
) -> Iterator[Answer]:
    """The answers to the items, in their order. `work` is a function of a module.

    What it raises is raised here, and ends the others at once, as Ctrl-C does. Raises UserError
    where a process dies.
    """
    if processes == 1:
        yield from map(work, items)
        return
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(processes, _preloaded(), _begin)
    try:
        yield from pool.map(work, items)
    except BrokenProcessPool as error:
        raise UserError(
            "a process that read cases died, as where memory runs out; start again: what was "
            "finished is kept. A script of your own needs `if __name__ == '__main__':` around what "
            "it runs"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()


@cache
def _preloaded() -> BaseContext:
    """Starts processes from one that imports once for all, where the system can."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _begin() -> None:
    """Ctrl-C is the parent's to handle; without one there is nothing left to do."""
    ignore_terminal()
    torch.set_num_threads(1)
    end_with_parent()


def end_with_parent() -> None:
    """This process ends when the one that started it does, however that ends."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
