"""Which member of a front is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.pareto.front import knee, objective_points
from nas.pareto.reference import above_reference
from nas.pareto.result import Result
from trainers.errors import UserError

PICKS = ("best-dice", "knee", "smallest", "fastest")


def pick(
    members: Sequence[Result],
    name: str,
    objectives: Sequence[str],
    others: Callable[[], Sequence[Result]] = tuple,
) -> Result:
    """The front member that `name` means: one of `PICKS`, or (the start of) a key.

    All of `PICKS` are among the members `above_reference`. `others`: called for those besides the
    members who may be meant by their keys. Raises UserError where no network or several fit, and
    for the fastest where no latency is known.
    """
    if not members:
        raise UserError("the front is empty: no trial of this search was completed")
    if name == "best-dice":
        return max(members, key=lambda r: r.dice or 0.0)
    if name == "smallest":
        return min(above_reference(members), key=lambda r: r.costs.get("params", 0))
    if name == "fastest":
        timed = [member for member in above_reference(members) if "latency_ms" in member.costs]
        if not timed:
            raise UserError(
                "--pick fastest: this search measured no latency; add latency_ms to its objectives "
                "or budget, or pick another"
            )
        return min(timed, key=lambda r: r.costs["latency_ms"])
    if name == "knee":
        good = above_reference(members)
        return good[knee(objective_points(good, objectives))]
    found = _named(members, name) or _named(others(), name)
    if len(found) != 1:
        keys = ", ".join(r.name for r in found or members)
        problem = "means several networks" if found else "is no member of the front"
        raise UserError(f"--pick {name} {problem}; expected {', '.join(PICKS)} or one of {keys}")
    return found[0]


def _named(results: Sequence[Result], name: str) -> list[Result]:
    """The one of that name, else all whose names begin so."""
    whole = [result for result in results if result.name == name]
    return whole or [result for result in results if result.name.startswith(name)]
