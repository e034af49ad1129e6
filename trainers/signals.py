"""The signals that ask a program to end, and how it hears them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType

# The terminal was closed, or the connection to it was lost; Windows has no such signal.
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
# All processes of a command get these at once.
FROM_TERMINAL = (signal.SIGINT, *([HANGUP] if HANGUP else []))
SIGNALS = (*FROM_TERMINAL, signal.SIGTERM)  # schedulers of jobs send the last, before they kill
AT_ONCE = 0.5  # seconds: `timeout`, shells and job launchers signal a process and its group

_last_heard = -inf


@contextmanager
def hearing(hear: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """A block in which `SIGNALS` call `hear`; yields what ends that before.

    Signals that follow within `AT_ONCE` seconds are the same one. Where SIGHUP is ignored, as under
    `nohup`, it stays so; where it is heard, what is printed to the terminal from then on is lost,
    for there writing fails. Outside of a program's main thread, which alone hears signals, nothing
    is changed.
    """
    if current_thread() is not main_thread():
        yield lambda: None
        return
    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def handle(number: int, frame: FrameType | None) -> None:
        global _last_heard
        if number == HANGUP:
            _silence(terminals)
        before, _last_heard = _last_heard, monotonic()
        if _last_heard - before > AT_ONCE:
            hear()

    heard = [n for n in SIGNALS if n != HANGUP or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    try:
        yield restore
    finally:
        restore()


@contextmanager
def starting_processes() -> Iterator[None]:
    """A block whose child processes, and theirs, live on when the terminal is closed: this process
    ends them. A library that handles SIGTERM from then on is undone."""
    if HANGUP is None or current_thread() is not main_thread():
        yield
        return
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {HANGUP})
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextmanager
def starting_threads() -> Iterator[None]:
    """A block whose threads get none of `SIGNALS`: what the main thread blocks stays blocked."""
    if HANGUP is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_terminal() -> None:
    """For a process that another one ends: leave what comes from the terminal to that one."""
    for number in FROM_TERMINAL:
        signal.signal(number, signal.SIG_IGN)


def _silence(descriptors: list[int]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
