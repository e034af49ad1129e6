"""Which member of a front is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.pareto.front import knee, objective_points
from nas.pareto.objectives import LATENCY, costs_among, device_of, is_latency, latency_on
from nas.pareto.reference import above_reference
from nas.pareto.result import Result
from trainers.errors import UserError

PICKS = ("best-dice", "knee", "smallest", "fastest")


def pick(
    members: Sequence[Result],
    name: str,
    objectives: Sequence[str],
    others: Callable[[], Sequence[Result]] = tuple,
    limited: bool = False,
) -> Result:
    """The front member that `name` means: one of `PICKS`, or (the start of) a key.

    All of `PICKS` are among the members `above_reference`; of several devices it is
    `fastest@DEVICE`. `others`: called for those besides the
    members who may be meant by their keys. `limited`: all these keep limits, which others of the
    front may not. Raises UserError where no network or several fit, and
    for the fastest where no latency is known.
    """
    rule = name in PICKS or name.partition("@")[0] == "fastest"
    if not members and (rule or not others()):
        raise UserError(
            "the front is empty: no network of this search was trained to the end, or all that "
            "were wait for a latency; one that was is picked by its key"
        )
    if name == "best-dice":
        return max(members, key=lambda r: r.dice or 0.0)
    if name == "smallest":
        return min(above_reference(members), key=lambda r: r.costs.get("params", 0))
    if name.partition("@")[0] == "fastest":
        return _fastest(members, device_of(name))
    if name == "knee":
        good = above_reference(members)
        return good[knee(objective_points(good, objectives))]
    found = _named(members, name) or _named(others(), name)
    if len(found) != 1:
        keys = ", ".join(r.name for r in found or members or others())
        nobody = f"is no member of the front{' within the limits' if limited else ''}"
        problem = "means several networks" if found else nobody
        raise UserError(f"--pick {name} {problem}; expected {', '.join(PICKS)} or one of {keys}")
    return found[0]


def _fastest(members: Sequence[Result], device: str) -> Result:
    """On that one of several devices; empty where there is but one."""
    name = latency_on(device) if device else LATENCY
    timed = [member for member in above_reference(members) if name in member.costs]
    if timed:
        return min(timed, key=lambda r: r.costs[name])
    there = costs_among(cost for r in members for cost in r.costs if is_latency(cost))
    if not there:
        raise UserError(
            "--pick fastest: this search measured no latency; add latency_ms to its objectives "
            "or budget, or pick another"
        )
    known = [f"fastest@{device_of(each)}" if device_of(each) else "fastest" for each in there]
    asked = f"fastest@{device}" if device else "fastest"
    raise UserError(f"--pick {asked}: expected {' or '.join(known)}")


def _named(results: Sequence[Result], name: str) -> list[Result]:
    """The one of that name, else all whose names begin so."""
    whole = [result for result in results if result.name == name]
    return whole or [result for result in results if result.name.startswith(name)]
