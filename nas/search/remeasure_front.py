"""The latencies of a front, measured again once nothing else computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nas.cost.devices import DeviceLatencies
from nas.cost.devices.prober import DevicesProber
from nas.cost.failure import Waiting
from nas.cost.latency import Latency
from nas.cost.latency_probe import Failure, Prober
from nas.pareto.front import front
from nas.pareto.objectives import costs_among, is_latency, objective
from nas.pareto.result import Result
from nas.search.trained_networks import TrainedNetworks
from nas.study.study import Study
from trainers.counted import counted

ROUNDS = 3


def remeasure_front(
    study: Study,
    prober: Prober | DevicesProber,
    trained: TrainedNetworks,
    say: Callable[[str], None],
) -> list[Result]:
    """Measure the members of the front and what stands beside it again, interleaved; return those
    whose latency changed.

    They have their trained weights now, and see windows of validation cases: with drawn weights a
    network that lets its input decide computes everything. What comes to the front by that is
    measured as well, with all others anew, in `ROUNDS` rounds at most. Every change of rank is
    said, and who joins and leaves. A member that cannot be measured keeps its first latency, and
    is asked again only beside a newcomer to the front of a later session; so does each on a device
    that is away, which is asked again when the search is opened again.
    """
    revised: dict[str, Result] = {}
    devices = prober.names if isinstance(prober, DevicesProber) else ()
    asked: set[str] = set()  # who is asked once, whatever the devices say
    failed: set[str] = set()
    first = {member.key for member in front(study.results, study.objectives)}
    for _ in range(ROUNDS):
        found, baselines = front(study.results, study.objectives), study.baselines
        members = [*found, *baselines]
        if all(m.name in asked or study.was_asked_again(m.name, devices) for m in members):
            break
        members += study.compressed  # which had their weights the first time
        members = [member for member in members if member.name not in failed]
        beside = f" and {counted(len(baselines), 'baseline')} beside it" if baselines else ""
        say(
            f"Measuring the {counted(len(found), 'member')} of the front{beside} again, "
            "interleaved and idle, as they were trained, on windows of validation cases"
        )
        measured_by = trained.of(members)
        for member, weights in zip(members, measured_by.weights, strict=True):
            if weights is None:
                say(f"{member.label} is measured with drawn weights: its own are gone")
        prober.submit([member.network() for member in members], measured_by)
        outcomes = wait_for(prober)
        for member, outcome in zip(members, outcomes, strict=True):
            if isinstance(outcome, Failure):
                failed.add(member.name)
                study.keep_latency(member.name, outcome.reason)
        again = dict(_revisions(study, members, outcomes, say))
        asked |= {member.name for member in members} if devices else set()
        for line in rank_changes([m for m in members if m.name in again], list(again.values())):
            say(line)
        revised |= again
    last = {member.key for member in front(study.results, study.objectives)}
    for keys, change in ((last - first, "joins"), (first - last, "leaves")):
        for key in sorted(keys):
            say(f"{key} {change} the front")
    return list(revised.values())


def rank_changes(before: Sequence[Result], after: Sequence[Result]) -> Iterator[str]:
    """A line for every network whose place by a latency changed, among those that have had it
    before; both in the same order."""
    for name in costs_among(name for r in before for name in r.costs if is_latency(name)):
        both = [
            pair for pair in zip(before, after, strict=True) if all(name in r.costs for r in pair)
        ]
        old, new = (_places([pair[side] for pair in both], name) for side in (0, 1))
        kind = objective(name)
        for first, second in both:
            if old[first.name] != new[first.name]:
                yield (
                    f"{first.label} was number {old[first.name]} by {kind.phrase} "
                    f"({kind.exact(first.value(name))}) and is number {new[first.name]} "
                    f"({kind.exact(second.value(name))})"
                )


def _revisions(
    study: Study,
    members: Sequence[Result],
    outcomes: Sequence[Latency | DeviceLatencies | Failure | Waiting],
    say: Callable[[str], None],
) -> Iterator[tuple[str, Result]]:
    for member, outcome in zip(members, outcomes, strict=True):
        if isinstance(outcome, Failure | Waiting):
            say(f"{member.label} keeps its first latency: {outcome.reason}")
            continue
        if isinstance(outcome, DeviceLatencies):
            for name, reason in outcome.waiting.items():
                say(f"{member.label} keeps its first latency on {name}: {reason}")
            if not outcome.known:
                continue
        result = study.revise(member.name, outcome)
        if result.state == "infeasible":
            say(f"{member.label}: {result.reason}")
        yield member.name, result


def wait_for(
    prober: Prober | DevicesProber,
) -> Sequence[Latency | DeviceLatencies | Failure | Waiting]:
    """What is under way, once it is measured."""
    while (outcomes := prober.poll(1.0)) is None:
        pass
    return outcomes


def _places(results: Sequence[Result], name: str) -> dict[str, int]:
    ordered = sorted(results, key=lambda result: result.costs[name])
    return {result.name: place for place, result in enumerate(ordered, 1)}
