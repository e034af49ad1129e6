"""What is known of a search, each thing worked out once, for those who write and show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas.cost.latency.conditions import conditions_text
from nas.pareto.beside_baselines import baseline_verdict
from nas.pareto.front import front
from nas.pareto.front_chances import front_chances
from nas.pareto.front_files import Front
from nas.pareto.hypervolume import hypervolume, ranks
from nas.pareto.objectives import costs_among, device_of, latency_on, objective
from nas.pareto.result import Result
from nas.report.progress import Progress
from nas.report.untrained import Untrained
from nas.tracking.tracked_runs import TrackedRuns
from search_spaces.space import SearchSpace

if TYPE_CHECKING:  # it needs Optuna, reading a front does not
    from nas.study.knob_importance import Importance

KEPT = "MACs of networks that prune queries are those at the share that validation saw them keep"

COMPRESSED = (
    "Networks beside the front that name another were made from it after the search, by segnas "
    "compress, with a training of their own"
)


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """A search as it stands: its results, and what follows from them.

    `results`: every ended candidate once. `objectives`: their names. `title`: what the search is
    called. `classes`: those of Dice per class, in order, without the background. `space`: gives
    names of knobs, pictures and presets; without it every value of an architecture is a knob.
    `starts`: the names of warm starts, by key. `baselines`: well-known networks that were trained
    beside the candidates; `compressed`: networks that were made smaller after the search; none of
    either is among the results. `infeasible_beside`: those of either that are infeasible, which
    only MLflow is told of. `untrained`: well-known networks that may have been trained or not,
    with what was counted of them. `id`: of the study, empty where there is none. `summary`: the
    numbers of the session that ended the search, empty where none did. `runs`: those of its trials
    in MLflow, as far as they are known. `progress`: how far it is, while it runs. `settings`: what
    its results have in common, as its journal tells.
    """

    results: Sequence[Result]
    objectives: Sequence[str]
    title: str
    classes: Sequence[str]
    space: SearchSpace | None = None
    starts: Mapping[str, str] = field(default_factory=dict)
    baselines: Sequence[Result] = ()
    compressed: Sequence[Result] = ()
    infeasible_beside: Sequence[Result] = ()
    untrained: Sequence[Untrained] = ()
    id: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    runs: TrackedRuns = field(default_factory=TrackedRuns)
    progress: Progress | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def members(self) -> list[Result]:
        """The Pareto front, from few parameters to many. Raises UserError as `front` does."""
        return front(self.results, self.objectives)

    @cached_property
    def baseline_verdict(self) -> str:
        """Whether the front is better than each baseline at its cost; empty without baselines."""
        return baseline_verdict(self.members, self.baselines, self.objectives)

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The Pareto rank of every complete result whose objectives are known, by key."""
        return ranks(self.results, self.objectives)

    @cached_property
    def chances(self) -> Mapping[str, float]:
        """The chance of those near the front to be on it, by key; empty without repeats."""
        return front_chances(self.results, self.objectives)

    @property
    def front(self) -> Front:
        """The members with what is shown beside them."""
        return Front(
            members=self.members,
            objectives=self.objectives,
            baselines=self.baselines,
            compressed=self.compressed,
            chances=self.chances,
        )

    @property
    def beside(self) -> list[Result]:
        """Those that are shown beside the front."""
        return [*self.baselines, *self.compressed]

    @cached_property
    def hypervolume(self) -> float:
        """The share of the objective space that the front dominates, from 0 to 1."""
        return hypervolume(self.results, self.objectives)

    @cached_property
    def importances(self) -> Sequence[Importance]:
        """How much each knob matters for each objective. Takes seconds where results are many."""
        from nas.study.knob_importance import importances

        return importances(self.results, self.objectives, self.space)

    @cached_property
    def states(self) -> Counter[str]:
        """How many candidates ended in each state."""
        return Counter(result.state for result in self.results)

    @cached_property
    def costs(self) -> list[str]:
        """The costs among the objectives."""
        return costs_among(self.objectives)

    @cached_property
    def conditions(self) -> str | None:
        """Under which the latencies were measured, on one line; None where none was."""
        latency = next((r.latency for r in self.results if r.latency), None)
        devices = {name: told for r in self.results for name, told in r.latencies.items()}
        each = (f"on {name}, {conditions_text(told)}" for name, told in sorted(devices.items()))
        return conditions_text(latency) if latency else "; ".join(each) or None

    @cached_property
    def waiting(self) -> str:
        """How many trained networks wait for their latency on which device; empty where none."""
        complete = [r for r in (*self.results, *self.baselines) if r.state == "complete"]
        named = {device_of(name) for name in self.objectives} - {""}
        sentences = []
        for device in sorted(named.union(*(result.latencies for result in complete))):
            name = latency_on(device)
            count = sum(name not in result.costs for result in complete)
            if count:
                told, take = (
                    ("1 trained network waits", "takes")
                    if count == 1
                    else (f"{count} trained networks wait", "take")
                )
                place = f" and {take} no place on the front" if name in self.objectives else ""
                sentences.append(f"{told} for {objective(name).phrase}{place}.")
        return " ".join(sentences)

    @cached_property
    def prunes(self) -> bool:
        """Whether a network has its multiply-accumulates at the share of queries that it kept."""
        return any(result.macs_bounds for result in self.results)

    @cached_property
    def known_costs(self) -> list[str]:
        """The costs that at least one member of the front has a number for."""
        return costs_among(cost for member in self.members for cost in member.costs)
