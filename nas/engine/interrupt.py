"""Ctrl-C: once, the running epochs are finished; twice, the search stops now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nas.engine.trial_source import TrialSource
from trainers.signals import hearing


@contextmanager
def interruptible(session: TrialSource) -> Iterator[None]:
    """A block in which a signal of `SIGNALS` interrupts the session, and the next one the block.

    The second raises KeyboardInterrupt, and later ones do what they did before.
    """

    def hear() -> None:
        if not session.interrupted:
            session.interrupt()
        else:
            restore()
            raise KeyboardInterrupt

    with hearing(hear) as restore:
        yield
