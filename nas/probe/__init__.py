"""Latency measured by a process of its own, while nothing else of the search computes."""

from nas.failure import Failure
from nas.probe.prober import Prober, open_prober
from nas.probe.task import ProbeTask

__all__ = ["Failure", "ProbeTask", "Prober", "open_prober"]
