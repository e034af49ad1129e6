"""Who measures the latencies of a search."""

from __future__ import annotations

from functools import partial

from nas.cost.devices.prober import DevicesProber
from nas.cost.latency_probe import Prober, ProbeTask
from nas.cost.latency_probe.local import LocalProber


def open_prober(task: ProbeTask) -> Prober:
    """A prober on this machine, which begins to import, or on the node that has the resources of
    `latency.resources` where there are any.

    Raises AwayError where no node of the Ray cluster offers them. That one needs Ray initialised.
    """
    if task.latency.resources:
        from nas.engine.remote_latency_probe import RemoteProber

        return RemoteProber(task)
    prober = LocalProber(task)
    prober.start()
    return prober


def open_devices(task: ProbeTask) -> DevicesProber:
    """A prober for each of `latency.devices`, which are opened once they are asked."""
    return DevicesProber({name: partial(_open_device, task, name) for name in task.latency.devices})


def _open_device(task: ProbeTask, name: str) -> Prober:
    latency, device = task.latency.on(name), task.latency.devices[name]
    own = task.model_copy(update={"latency": latency})
    if not device.takes_file:
        return open_prober(own)
    from nas.cost.devices.agent_device import AgentDevice
    from nas.cost.devices.agent_messages import read_token
    from nas.cost.devices.command import CommandDevice
    from nas.cost.devices.file_prober import FileProber

    assert latency.patch is not None, "a task has it filled in"
    shape = (latency.batch, task.channels, *latency.patch)
    if device.url:
        token = read_token(device.token_path)
        return FileProber(own, AgentDevice(device.url, token, latency, shape))
    return FileProber(own, CommandDevice(name, device.command, latency, shape))
