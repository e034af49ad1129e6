"""Which prober measures the latencies of a search."""

from __future__ import annotations

from nas.cost.latency_probe import Prober, ProbeTask
from nas.cost.latency_probe.local import LocalProber


def open_prober(task: ProbeTask) -> Prober:
    """A prober on this machine, which begins to import, or on the node that has the resources of
    `latency.resources` where there are any.

    Raises UserError where no node of the Ray cluster offers them. That one needs Ray initialised.
    """
    if task.latency.resources:
        from nas.engine.remote_latency_probe import RemoteProber

        return RemoteProber(task)
    prober = LocalProber(task)
    prober.start()
    return prober
