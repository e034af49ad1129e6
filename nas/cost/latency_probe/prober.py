"""What every prober offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nas.cost.failure import Failure, Waiting
from nas.cost.latency import Conditions, Latency
from nas.cost.latency_probe.task import Trained
from search_spaces.space import Architecture

Outcome = Latency | Failure | Waiting
"""What a device says of a network. It waits only where it is one of several."""


class Prober(Protocol):
    """Measures sets of architectures, one set after the other, while its caller goes on."""

    def conditions(self) -> Conditions:
        """What latencies will be measured under; waits for the answer.

        Raises UserError where nothing can be measured like that.
        """

    def submit(self, architectures: Sequence[Architecture], trained: Trained | None = None) -> None:
        """Begin to measure; several are measured in turns, so that their ranks can be trusted.

        `trained`: of these networks, in their order; None for drawn weights and noise.
        """

    def poll(self, seconds: float = 0.0) -> Sequence[Outcome] | None:
        """One answer for each architecture submitted, in their order; None while under way.

        Waits for up to `seconds`. Raises UserError where the probe itself cannot work.
        """

    def close(self) -> None:
        """End whatever is under way; another set may follow."""
