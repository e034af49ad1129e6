"""A comparison as one HTML file, with the planes of the front's page."""

from __future__ import annotations

from typing import Any

from nas.pareto.objectives import DICE, objective
from nas.pareto.result import Result, known
from nas.report.architecture_text import compact
from nas.report.comparison.compare import Comparison
from nas.report.comparison.tables import best_dice, lead_text, range_text
from nas.report.front_page.data import embedded, format_of
from nas.report.front_page.page import SHARED, asset, with_scripts
from nas.tracking.tracked_runs import TrackedRuns

SCRIPTS = ("networks.js", *SHARED, "comparison.js")


def comparison_page(comparison: Comparison) -> str:
    """The fronts in one plane for each cost, who is ahead where, and their members."""
    title = " and ".join(comparison.searches)
    data = embedded(_data(comparison))
    return with_scripts(title, asset("comparison.html"), data, SCRIPTS)


def _run(runs: TrackedRuns, one: Result) -> str | None:
    """Where its run is shown; None where no browser gets there."""
    run = runs.ids.get(one.name)
    return runs.address + run if runs.address and run else None


def _data(comparison: Comparison) -> dict[str, Any]:
    names = list(comparison.searches)
    members = {name: {one.key for one in found} for name, found in comparison.fronts.items()}
    titles = comparison.titles
    return {
        "caption": (
            f"The fronts of {len(names)} searches in {titles}, on the same data and validation "
            f"cases, from Dice {DICE.short(comparison.reference)} on: 0.9 of the best. "
            f"{comparison.in_common}"
        ),
        "notes": list(comparison.notes),
        "objectives": list(comparison.objectives),
        "costs": comparison.costs,
        "formats": {n: format_of(objective(n)) for n in ("dice", *comparison.costs)},
        "searches": [
            {
                "name": name,
                "trained": comparison.searches[name].states["complete"],
                "front": len(comparison.fronts[name]),
                "best": best_dice(comparison.fronts[name]),
                "dominated": comparison.dominated[name],
                "hypervolume": comparison.volumes[name],
            }
            for name in names
        ],
        "leads": {
            cost: [
                {"ahead": one.ahead, "range": range_text(cost, one), "text": lead_text(one, names)}
                for one in found
            ]
            for cost, found in comparison.leads.items()
        },
        "networks": [
            {
                "key": f"{name}/{one.key}",
                "search": place,
                "member": one.key in members[name],
                "same": comparison.same_in(name, one) if one.key in members[name] else [],
                "run": _run(comparison.searches[name].runs, one),
                "beaten": one.key in members[name] and comparison.is_beaten(name, one),
                "state": one.state,
                "dice": known(one.dice),
                "costs": {cost: known(one.value(cost)) for cost in comparison.costs},
                "text": compact(one.architecture),
                "name": None,
                "curve": [],
            }
            for place, name in enumerate(names)
            for one in comparison.searches[name].results
            if one.state == "complete"
        ],
    }
