"""Probers that answer what a test says, at once or later."""

from nas.cost.devices.prober import DevicesProber
from nas.cost.failure import AwayError
from nas.cost.latency import Conditions, Latency

CONDITIONS = Conditions(
    device="a machine",
    driver="Linux",
    threads=1,
    precision="fp32",
    quantisation=None,
    backend="eager",
    runtime="torch 2",
    shape=(1, 1, 32, 32, 32),
)


def latency(p50, device=CONDITIONS.device):
    """A measurement with that median."""
    return Latency(
        p50_ms=p50,
        p90_ms=p50,
        p99_ms=p50,
        mean_ms=p50,
        repeats=9,
        warmup=1,
        noise=0.01,
        conditions=CONDITIONS.model_copy(update={"device": device}),
    )


class SaysProber:
    """`says(architecture)` is the answer for it; `ready = False` holds all answers back."""

    def __init__(self, says):
        self.says, self.ready, self.sets, self.closed = says, True, [], False
        self.trained = []

    def conditions(self):
        return CONDITIONS

    def submit(self, architectures, trained=None):
        self.sets.append(list(architectures))
        self.trained.append(trained)

    def poll(self, seconds=0.0):
        return [self.says(a) for a in self.sets[-1]] if self.ready else None

    def close(self):
        self.closed = True


class DeviceProber(SaysProber):
    """That of one of several devices, which may be `away`; `p50(architecture)` are its figures.

    `opened`: how often it was opened. `machine`: what its conditions call it.
    """

    def __init__(self, machine, p50):
        super().__init__(lambda architecture: self._figure(p50(architecture)))
        self.machine, self.away, self.opened = machine, False, 0

    def _figure(self, told):
        return latency(told, self.machine) if isinstance(told, int | float) else told

    def open(self):
        self._look()
        self.opened += 1
        return self

    def conditions(self):
        self._look()
        return CONDITIONS.model_copy(update={"device": self.machine})

    def submit(self, architectures, trained=None):
        self._look()
        super().submit(architectures, trained)

    def poll(self, seconds=0.0):
        self._look()
        return super().poll(seconds)

    def _look(self):
        if self.away:
            raise AwayError(f"{self.machine} does not answer")


def devices_prober(**devices):
    """Of these `DeviceProber`s."""
    return DevicesProber({name: device.open for name, device in devices.items()})
