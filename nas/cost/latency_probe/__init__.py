"""Latency measured by a process of its own, while nothing else of the search computes."""

from nas.cost.failure import Failure
from nas.cost.latency_probe.prober import Prober
from nas.cost.latency_probe.task import ProbeTask, Trained

__all__ = ["Failure", "ProbeTask", "Prober", "Trained"]
