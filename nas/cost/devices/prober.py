"""Several probers side by side, each of a device of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nas.cost.devices.latencies import DeviceConditions, DeviceLatencies
from nas.cost.failure import AwayError, Failure, Waiting
from nas.cost.latency import Conditions, Latency
from nas.cost.latency_probe.prober import Outcome, Prober
from nas.cost.latency_probe.task import Trained
from search_spaces.space import Architecture
from trainers.errors import UserError


class DevicesProber:
    """As a `Prober`, of sets of architectures on all devices; a device that goes away ends nothing.

    `openers`: by the devices' names, who opens each prober; called again after a device was away.
    An architecture that cannot run on one of them is a `Failure`; one that a device gave no answer
    for waits for it. So does a figure that a device took under other conditions than before.
    `away`: why devices did not answer to `conditions`.
    """

    def __init__(self, openers: Mapping[str, Callable[[], Prober]]) -> None:
        self._openers = openers
        self._probers: dict[str, Prober] = {}
        self._expected: dict[str, Conditions] = {}
        self._asked: tuple[str, ...] = ()
        self._answers: dict[str, Sequence[Outcome]] = {}
        self._count = 0
        self.away: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._openers)

    def conditions(self) -> DeviceConditions:
        """What latencies will be measured under; waits for the answers.

        Raises UserError where a device that is there can never measure like that.
        """
        found: dict[str, Conditions | None] = dict.fromkeys(self._openers)
        for name in self._openers:
            try:
                found[name] = self._expected[name] = self._opened(name).conditions()
            except AwayError as error:
                self._drop(name)
                self.away[name] = str(error)
            except UserError as error:
                raise UserError(f"latency.devices.{name}: {error}") from None
        return DeviceConditions(devices=found)

    def expect(self, conditions: Mapping[str, Conditions]) -> None:
        """Under which each device measured before; figures of others do not count."""
        self._expected |= conditions

    def submit(
        self,
        architectures: Sequence[Architecture],
        trained: Trained | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        """See `Prober`. `only`: on these devices."""
        self._asked = self.names if only is None else tuple(only)
        self._answers, self._count = {}, len(architectures)
        for name in self._asked:
            try:
                self._opened(name).submit(architectures, trained)
            except UserError as error:
                self._lose(name, error)

    def poll(self, seconds: float = 0.0) -> list[DeviceLatencies | Failure] | None:
        """See `Prober`; an answer has only devices that were asked."""
        for name in self._asked:
            if name in self._answers:
                continue
            try:
                outcomes = self._probers[name].poll(seconds)
            except UserError as error:
                self._lose(name, error)
                continue
            if outcomes is not None:
                self._answers[name] = [self._checked(name, outcome) for outcome in outcomes]
        if len(self._answers) < len(self._asked):
            return None
        each = [self._answers[name] for name in self._asked]
        return [
            _joined(dict(zip(self._asked, outcomes, strict=True)))
            for outcomes in zip(*each, strict=True)
        ]

    def close(self) -> None:
        """End whatever is under way."""
        for prober in self._probers.values():
            prober.close()

    def _opened(self, name: str) -> Prober:
        if name not in self._probers:
            self._probers[name] = self._openers[name]()
        return self._probers[name]

    def _drop(self, name: str) -> None:
        if prober := self._probers.pop(name, None):
            prober.close()

    def _lose(self, name: str, error: UserError) -> None:
        self._drop(name)
        self._answers[name] = [Waiting(str(error))] * self._count

    def _checked(self, name: str, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Latency):
            return outcome
        expected = self._expected.setdefault(name, outcome.conditions)
        if outcome.conditions == expected:
            return outcome
        return Waiting(
            f"it measures under other conditions now, {outcome.conditions.text()}, and did under "
            f"{expected.text()}; expected the same again"
        )


def _joined(outcomes: Mapping[str, Outcome]) -> DeviceLatencies | Failure:
    for name, outcome in outcomes.items():
        if isinstance(outcome, Failure):
            return Failure(f"{name}: {outcome.reason}")
    return DeviceLatencies(
        known={name: one for name, one in outcomes.items() if isinstance(one, Latency)},
        waiting={name: one.reason for name, one in outcomes.items() if isinstance(one, Waiting)},
    )
