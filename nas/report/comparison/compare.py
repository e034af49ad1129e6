"""What comes of setting the fronts of several searches beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.pareto.compare_fronts import Stretch, dominated, stretches
from nas.pareto.front import front
from nas.pareto.hypervolume import hypervolume
from nas.pareto.objectives import DICE, costs_among, objective
from nas.pareto.reference import dice_reference
from nas.pareto.result import Result
from nas.report.comparison.comparable import check_comparable, other_differences
from nas.report.search_record import SearchRecord


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Searches whose figures may be compared, by what they are called.

    `objectives`: those of the fronts. `reference`: the Dice from which on a network counts, 0.9 of
    the best of all. `notes`: what differs between the searches, besides what must not.
    """

    searches: Mapping[str, SearchRecord]
    objectives: Sequence[str]
    reference: float
    notes: Sequence[str] = ()

    @property
    def titles(self) -> str:
        """The objectives as a sentence names them: `Dice, parameters`."""
        return ", ".join(objective(name).phrase for name in self.objectives)

    @cached_property
    def fronts(self) -> Mapping[str, list[Result]]:
        """The members of each search's front from the reference on, from few parameters to many."""
        found = {
            name: front(record.results, self.objectives) for name, record in self.searches.items()
        }
        return {
            name: [one for one in members if one.dice is not None and one.dice >= self.reference]
            for name, members in found.items()
        }

    @cached_property
    def volumes(self) -> Mapping[str, float]:
        """The share of the objective space that each front dominates."""
        return {name: hypervolume(found, self.objectives) for name, found in self.fronts.items()}

    @cached_property
    def dominated(self) -> Mapping[str, int]:
        """How many members of each front a network of another search dominates."""
        return {
            name: dominated(members, self._others(name), self.objectives)
            for name, members in self.fronts.items()
        }

    @cached_property
    def costs(self) -> list[str]:
        """What members are shown with: the costs among the objectives, and those that are counted
        alike everywhere."""
        return costs_among(["params", "macs", *self.objectives])

    @cached_property
    def leads(self) -> Mapping[str, list[Stretch]]:
        """Who is ahead where, for each cost among the objectives."""
        members = list(self.fronts.values())
        return {cost: stretches(members, cost) for cost in costs_among(self.objectives)}

    @cached_property
    def in_common(self) -> str:
        """By how much the Dice of networks differs that several searches trained: what chance and
        their recipes make. Empty where there is none."""
        found: dict[str, list[float]] = {}
        for record in self.searches.values():
            for one in record.results:
                if one.state == "complete" and one.dice is not None:
                    found.setdefault(one.key, []).append(one.dice)
        gaps = [max(dice) - min(dice) for dice in found.values() if len(dice) > 1]
        if not gaps:
            return ""
        told = "1 network was" if len(gaps) == 1 else f"{len(gaps)} networks were"
        mean = DICE.exact(sum(gaps) / len(gaps))
        middle = "" if len(gaps) == 1 else ", in the mean"
        return f"{told} trained in several of them: the Dice differs by {mean}{middle}."

    def is_beaten(self, name: str, member: Result) -> bool:
        """Whether a network of another search than `name` dominates the member."""
        return dominated([member], self._others(name), self.objectives) > 0

    def same_in(self, name: str, member: Result) -> list[str]:
        """The other searches than `name` that have the very same network on their fronts."""
        return [
            other
            for other, found in self.fronts.items()
            if other != name and member.key in {one.key for one in found}
        ]

    def to_json(self) -> dict[str, Any]:
        names = list(self.searches)
        return {
            "objectives": list(self.objectives),
            "reference": self.reference,
            "searches": [
                {
                    "name": name,
                    "trained": self.searches[name].states["complete"],
                    "front": [member.key for member in members],
                    "hypervolume": self.volumes[name],
                    "dominated": self.dominated[name],
                }
                for name, members in self.fronts.items()
            ],
            "ahead": {
                cost: [
                    {**vars(one), "ahead": None if one.ahead is None else names[one.ahead]}
                    for one in found
                ]
                for cost, found in self.leads.items()
            },
            "notes": list(self.notes),
        }

    def _others(self, name: str) -> list[Result]:
        return [one for other, found in self.fronts.items() if other != name for one in found]


def compare(
    searches: Mapping[str, SearchRecord], objectives: Sequence[str] | None = None
) -> Comparison:
    """Set the searches beside each other, in their own objectives or in these.

    Raises UserError where their figures cannot be compared.
    """
    chosen = check_comparable(searches, objectives)
    results = [one for record in searches.values() for one in record.results]
    return Comparison(
        searches=searches,
        objectives=chosen,
        reference=dice_reference(results),
        notes=other_differences(searches),
    )
