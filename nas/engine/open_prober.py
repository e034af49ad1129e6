"""Which prober measures the latencies of a search."""

from __future__ import annotations

from nas.cost.latency_probe import Prober, ProbeTask
from nas.cost.latency_probe.local import LocalProber


def open_prober(task: ProbeTask) -> Prober:
    """A prober on this machine, or where `latency.resources` says on the node that has those.

    Raises UserError where no node of the Ray cluster offers them. That one needs Ray initialised.
    """
    if task.latency.resources:
        from nas.engine.remote_latency_probe import RemoteProber

        return RemoteProber(task)
    return LocalProber(task)
