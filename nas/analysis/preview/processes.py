"""Processes beside this one that have torch and the spaces imported already."""

from __future__ import annotations

import multiprocessing
import os
import signal
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running

import torch

# The last one is what torch's optimizers import when the first of them is made.
PRELOAD = ["nas.analysis.preview.parallel_costs", "nas.analysis.preview.timing", "torch._dynamo"]


@cache
def server() -> ForkServerContext:
    """Starts processes from one that imports once for all, and begins to do so here."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ensure_running()
    return context


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def settle(threads: int = 1) -> None:
    """Begin a process: Ctrl-C is its parent's to handle, and torch takes so many threads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
