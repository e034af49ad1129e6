"""Latencies that wait for a device: one of several that was away is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nas.cost.devices.prober import DevicesProber
from nas.cost.failure import Failure
from nas.pareto.objectives import latency_on, objective
from nas.pareto.result import Result
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from trainers.counted import counted
from trainers.errors import UserError

TOGETHER = 8  # networks of a set; where none of them gets a latency, the rest is not tried


def check_away(prober: DevicesProber, directory: Path) -> None:
    """Raise UserError where a new search is to begin and a device is away: later on it may be."""
    if prober.away and not (directory / JOURNAL).exists():
        told = "; ".join(f"{name}: {reason}" for name, reason in prober.away.items())
        raise UserError(
            f"a search begins once each of latency.devices has answered, and later goes on without "
            f"one that is away. {told}"
        )


def measure_waiting(
    study: Study, prober: DevicesProber, say: Callable[[str], None]
) -> list[Result]:
    """Ask each device for the latencies of complete results that it owes; those that changed.

    One that is over the budget then is infeasible. A device that is away says so once.
    """
    changed: dict[str, Result] = {}
    for name in prober.names:
        waiting, wanted = _waiting(study, name), objective(latency_on(name)).phrase
        if waiting:
            say(f"Measuring who waits for {wanted}: {counted(len(waiting), 'network')}")
        for start in range(0, len(waiting), TOGETHER):
            found, reason = _measure(study, prober, name, waiting[start : start + TOGETHER])
            changed |= {result.key: result for result in found}
            for result in found:
                if result.state == "infeasible":
                    say(f"{result.label}: {result.reason}")
            if reason:
                say(f"{name}: {reason}")
            if not found:
                say(
                    f"{counted(len(waiting) - start, 'network')} left waiting for {name}: go on "
                    "with this search once it answers"
                )
                break
    return list(changed.values())


def _waiting(study: Study, device: str) -> list[Result]:
    """Complete results, then baselines, without their latency on that device."""
    complete = [result for result in study.results if result.state == "complete"]
    results = [*complete, *study.baselines]
    return [result for result in results if latency_on(device) not in result.costs]


def _measure(
    study: Study, prober: DevicesProber, device: str, waiting: Sequence[Result]
) -> tuple[list[Result], str]:
    """Those that the device has answered for, and why it has not for others."""
    prober.submit([result.network() for result in waiting], only=[device])
    while (outcomes := prober.poll(1.0)) is None:
        pass
    found, reason = [], ""
    for result, outcome in zip(waiting, outcomes, strict=True):
        if isinstance(outcome, Failure):
            found.append(study.lose(result.key, outcome.reason))
        elif outcome.known:
            found.append(study.add_latencies(result.key, outcome))
        else:
            reason = outcome.waiting[device]
    return found, reason
