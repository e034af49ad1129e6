"""An architecture that a study proposes, and what is known of it before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nas.cost.latency import Latency
from nas.pareto.objectives import latency_on
from nas.pareto.result import Result
from search_spaces.registry import architecture_record
from search_spaces.space import Architecture


@dataclass(frozen=True)
class Candidate:
    """`number` is its trial's in the study; `costs` are what is known of params, macs, memory and
    latency_ms. `latency`, or on several devices `latencies` by their names: all of the latter.
    `seed`: of a repeat, None in the search's own training. `baseline`: what a network is called
    that is trained beside the candidates of a search, by the same recipe, and that no sampler hears
    of; empty for a candidate."""

    number: int
    architecture: Architecture
    costs: Mapping[str, float] = field(default_factory=dict)
    latency: Latency | None = None
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    seed: int | None = None
    baseline: str = ""

    @property
    def name(self) -> str:
        """What the files of its training are called, as its checkpoint is."""
        return self.key if self.seed is None else f"{self.key}-seed{self.seed}"

    @property
    def label(self) -> str:
        """What tables and messages call it: a baseline by its own name."""
        return self.baseline or self.name

    @property
    def key(self) -> str:
        """The architecture's key."""
        return self.architecture.key

    @property
    def record(self) -> dict[str, Any]:
        """Space, key and choices of the architecture."""
        return architecture_record(self.architecture)

    def with_latency(self, latency: Latency) -> Candidate:
        """The same, once its latency was measured."""
        return replace(self, latency=latency, costs={**self.costs, "latency_ms": latency.p50_ms})

    def with_latencies(self, latencies: Mapping[str, Latency]) -> Candidate:
        """The same, once these were measured, each on the device of that name."""
        found = {latency_on(name): latency.p50_ms for name, latency in latencies.items()}
        return replace(self, latencies=latencies, costs={**self.costs, **found})

    def result(self, **found: Any) -> Result:
        """Its end: what was known before, and what was `found`."""
        if self.latency:
            device = self.latency.conditions.device
            found = {"device": device, "latency": self.latency.to_json(), **found}
        if self.latencies:
            told = {name: latency.to_json() for name, latency in self.latencies.items()}
            found = {"latencies": told, **found}
        return Result(
            number=self.number,
            **self.record,
            costs=self.costs,
            baseline=self.baseline,
            **found,
        )

    def infeasible(self, reason: str) -> Result:
        """Its end where it is not trained at all."""
        return self.result(state="infeasible", reason=reason)
