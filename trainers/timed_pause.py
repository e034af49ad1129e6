"""How long a training made way for others."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


class TimedPause:
    """Calls `pause`; `seconds` are those of all its calls so far."""

    def __init__(self, pause: Callable[[], None]) -> None:
        self._pause = pause
        self.seconds = 0.0

    def __call__(self) -> None:
        started = perf_counter()
        self._pause()
        self.seconds += perf_counter() - started
