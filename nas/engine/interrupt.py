"""Ctrl-C: once, the running epochs are finished; twice, the search stops now."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType

from nas.engine.trial_source import TrialSource

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AT_ONCE = 0.5  # seconds: `timeout` and job launchers send one signal to a process and to its group


@contextmanager
def interruptible(session: TrialSource) -> Iterator[None]:
    """A block in which SIGINT or SIGTERM interrupts the session, and the next one the block.

    Schedulers of jobs send SIGTERM some time before they kill. The second signal raises
    KeyboardInterrupt, and later ones do what they did before. Outside of a program's main thread,
    which alone hears signals, nothing is changed.
    """
    if current_thread() is not main_thread():
        yield
        return
    heard = 0.0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        if not session.interrupted:
            heard = monotonic()
            session.interrupt()
        elif monotonic() - heard > AT_ONCE:
            restore()
            raise KeyboardInterrupt

    before = {number: signal.signal(number, hear) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield
    finally:
        restore()
