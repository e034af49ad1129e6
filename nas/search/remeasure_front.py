"""The latencies of a front, measured again once nothing else computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nas.cost.latency import Latency
from nas.cost.latency_probe import Failure, Prober
from nas.pareto.front import front
from nas.pareto.objectives import objective
from nas.pareto.result import Result
from nas.search.trained_networks import TrainedNetworks
from nas.study.study import Study

ROUNDS = 3


def remeasure_front(
    study: Study, prober: Prober, trained: TrainedNetworks, say: Callable[[str], None]
) -> list[Result]:
    """Measure the members of the front and what stands beside it again, interleaved; return those
    whose latency changed.

    They have their trained weights now, and see windows of validation cases: with drawn weights a
    network that lets its input decide computes everything. What comes to the front by that is
    measured as well, with all others anew, in `ROUNDS` rounds at most. Every change of rank is
    said, and who joins and leaves. A member that cannot be measured keeps its first latency.
    """
    revised: dict[str, Result] = {}
    first = {member.key for member in front(study.results, study.objectives)}
    for _ in range(ROUNDS):
        found, baselines = front(study.results, study.objectives), study.baselines
        members = [*found, *baselines]
        if all(study.was_revised(member.name) for member in members):
            break
        members += study.compressed  # which had their weights the first time
        beside = f" and {len(baselines)} baselines beside it" if baselines else ""
        say(
            f"Measuring the {len(found)} members of the front{beside} again, interleaved and idle, "
            "as they were trained, on windows of validation cases"
        )
        measured_by = trained.of(members)
        for member, weights in zip(members, measured_by.weights, strict=True):
            if weights is None:
                say(f"{member.label} is measured with drawn weights: its own are gone")
        prober.submit([member.network() for member in members], measured_by)
        again = dict(_revisions(study, members, wait_for(prober), say))
        for line in rank_changes([m for m in members if m.name in again], list(again.values())):
            say(line)
        revised |= again
    last = {member.key for member in front(study.results, study.objectives)}
    for keys, change in ((last - first, "joins"), (first - last, "leaves")):
        for key in sorted(keys):
            say(f"{key} {change} the front")
    return list(revised.values())


def rank_changes(before: Sequence[Result], after: Sequence[Result]) -> Iterator[str]:
    """A line for every network whose place by latency changed; both in the same order."""
    old, new = _places(before), _places(after)
    exact = objective("latency_ms").exact
    for first, second in zip(before, after, strict=True):
        if old[first.name] != new[first.name]:
            yield (
                f"{first.label} was number {old[first.name]} by latency "
                f"({exact(first.value('latency_ms'))}) and is number {new[first.name]} "
                f"({exact(second.value('latency_ms'))})"
            )


def _revisions(
    study: Study,
    members: Sequence[Result],
    outcomes: Sequence[Latency | Failure],
    say: Callable[[str], None],
) -> Iterator[tuple[str, Result]]:
    for member, outcome in zip(members, outcomes, strict=True):
        if isinstance(outcome, Failure):
            say(f"{member.label} keeps its first latency: {outcome.reason}")
            continue
        result = study.revise(member.name, outcome)
        if result.state == "infeasible":
            say(f"{member.label}: {result.reason}")
        yield member.name, result


def wait_for(prober: Prober) -> list[Latency | Failure]:
    """What is under way, once it is measured."""
    while (outcomes := prober.poll(1.0)) is None:
        pass
    return outcomes


def _places(results: Sequence[Result]) -> dict[str, int]:
    ordered = sorted(results, key=lambda result: result.costs.get("latency_ms", 0.0))
    return {result.name: place for place, result in enumerate(ordered, 1)}
