"""Whether the figures of several searches mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from nas.cost.latency.conditions import conditions_text
from nas.pareto.objectives import device_of, is_latency, objective
from nas.report.search_record import SearchRecord
from nas.study.resume_check import FILES, differences
from trainers.errors import UserError

# Of the settings that results of one search have in common: what makes a Dice or a cost another
# figure, what does so only to the memory, and what searches that are compared may well differ in.
DICE = re.compile(
    r"data\b.*|space\.axes\b.*|train\.(patch|epochs|steps_per_epoch|overlap)\b.*"
    r"|search\.evaluator\b.*"
)
MEMORY = re.compile(
    r"train\.(batch|precision|precision_used|ema|deep_supervision|loss|optimizer|momentum)\b.*"
    r"|memory\.(device|threads)"
)
FREE = re.compile(r"(seed|objectives|budget|space|search(?!\.supernet)|latency)\b.*")


def check_comparable(
    searches: Mapping[str, SearchRecord], objectives: Sequence[str] | None
) -> list[str]:
    """The objectives to compare in: `objectives`, or those that all searches have.

    Raises UserError with all that keeps figures of the searches from being compared.
    """
    (first, one), *others = searches.items()
    chosen = list(dict.fromkeys(objectives or one.objectives))
    problems: list[str] = []
    if "dice" not in chosen or len(chosen) < 2:
        raise UserError(f"objectives {', '.join(chosen)}; expected dice and at least one cost")
    for name, other in others:
        problems += _against(first, one, name, other, chosen, bool(objectives))
    problems += (
        f"no trained network of {name} has {objective(cost).phrase}"
        for name, record in searches.items()
        for cost in chosen
        if (objectives or cost in record.objectives)  # else it is told that they differ
        and not any(r.state == "complete" and r.value(cost) is not None for r in record.results)
    )
    if problems:
        raise UserError(
            f"the figures of {', '.join(searches)} cannot be compared:\n  " + "\n  ".join(problems)
        )
    return chosen


def other_differences(searches: Mapping[str, SearchRecord]) -> list[str]:
    """What else differs in the recipes, a line each: it may be what is compared."""
    (first, one), *others = searches.items()
    return [
        f"{path}: {old} in {first}, {new} in {name}"
        for name, other in others
        for path, old, new in differences(dict(one.settings), dict(other.settings))
        if not (DICE.fullmatch(path) or FREE.fullmatch(path))
    ]


def _against(
    first: str,
    one: SearchRecord,
    name: str,
    other: SearchRecord,
    chosen: Sequence[str],
    told: bool,
) -> Iterator[str]:
    if not told and set(one.objectives) != set(other.objectives):
        both = [known for known in one.objectives if known in other.objectives]
        what = f"; compare in what both have: --objectives {','.join(both)}" if both[1:] else ""
        yield (
            f"objectives are {', '.join(one.objectives)} in {first} and "
            f"{', '.join(other.objectives)} in {name}{what}"
        )
        return
    if not ("data" in one.settings and "data" in other.settings):
        lacking = name if "data" in one.settings else first
        yield f"the journal of {lacking} does not tell on which data its networks were trained"
        return
    found = {
        path: (old, new)
        for path, old, new in differences(dict(one.settings), dict(other.settings))
        if DICE.fullmatch(path) or ("memory" in chosen and MEMORY.fullmatch(path))
    }
    known = FILES in one.settings and FILES in other.settings  # searches of before do not
    if not known or any(path.startswith("data.") and path != FILES for path in found):
        found.pop(FILES, None)  # it follows from the others
    for path, (old, new) in found.items():
        if path == FILES:
            yield (
                f"the cases of {name} have other files than those of {first}, by their names, "
                "sizes or times of change"
            )
        elif path.startswith("data.split."):
            part = path.removeprefix("data.split.")
            yield f"the {part} cases of {name} are others than those of {first}"
        else:
            yield f"{path} is {old} in {first} and {new} in {name}"
    for cost in filter(is_latency, chosen):
        here, there = _conditions(one, cost), _conditions(other, cost)
        if here != there:
            yield (
                f"{objective(cost).phrase} was measured on {here} in {first} and on {there} in "
                f"{name}"
            )


def _conditions(record: SearchRecord, cost: str) -> str:
    """Under which a latency was measured, on one line."""
    device = device_of(cost)
    told = (r.latencies.get(device) if device else r.latency for r in record.results)
    return next(map(conditions_text, filter(None, told)), "nothing")
