"""Limits as people type them: `params<=5e5,latency_ms<=20`."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AllowInfNan, TypeAdapter, ValidationError

from nas.pareto.budget import Bytes
from nas.pareto.objectives import OBJECTIVES, costs_among, is_latency, objective
from nas.pareto.result import Result
from trainers.errors import UserError

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
EXPECTED = (
    f"NAME<=VALUE, several by commas, of {', '.join(OBJECTIVES)} (of one of several devices: "
    "latency_ms@DEVICE); such as params<=5e5,dice>=0.8"
)


@dataclass(frozen=True)
class Limit:
    """What one objective of a network must be, such as `latency_ms <= 20`."""

    name: str
    comparison: str
    value: float

    def holds(self, result: Result) -> bool:
        """Whether the result keeps it; an unknown value keeps no limit."""
        value = result.value(self.name)
        return value is not None and COMPARISONS[self.comparison](value, self.value)

    def closest(self, results: Sequence[Result]) -> str:
        """What comes closest to it, for people."""
        known = [value for r in results if (value := r.value(self.name)) is not None]
        if not known:
            there = costs_among(n for r in results for n in r.costs if is_latency(n))
            hint = f" (there is {', '.join(there)})" if is_latency(self.name) and there else ""
            return f"{self.name} is not known{hint}"
        best = min(known) if self.comparison.startswith("<") else max(known)
        text = objective(self.name).exact(best)
        return f"{self.name} is {text} at {'the least' if best == min(known) else 'the most'}"


def parse_limits(text: str) -> list[Limit]:
    """The limits of a text; memory also with a unit (`2GiB`). Raises UserError."""
    return [_parse(part.strip()) for part in text.split(",")]


def filter_by_limits(members: Sequence[Result], limits: Sequence[Limit]) -> list[Result]:
    """The members that keep all limits. Raises UserError where there are members, but no such."""
    kept = [member for member in members if all(limit.holds(member) for limit in limits)]
    if members and not kept:
        told = "; ".join(limit.closest(members) for limit in limits)
        raise UserError(f"no member of the front is within the limits: {told}; use wider ones")
    return kept


def _parse(text: str) -> Limit:
    found = re.fullmatch(r"([\w@-]+)\s*(<=|>=|<|>)\s*(\S+)", text)
    try:
        unit = objective(found[1]).unit if found else None
    except ValueError:
        unit = None
    if not found or unit is None:
        hint = _nearest(found[1]) if found else ""
        raise UserError(f"--within: {text!r}; {hint}expected {EXPECTED}")
    name, comparison, value = found.groups()
    kind: Any = Bytes if unit == "B" else Annotated[float, AllowInfNan(False)]
    try:
        return Limit(name, comparison, float(TypeAdapter(kind).validate_python(_plain(value))))
    except ValidationError:
        raise UserError(
            f"--within: {value!r} in {text!r} is no number; expected {EXPECTED}"
        ) from None


def _plain(value: str) -> float | str:
    """A number where it is one without a unit: `2e9` is as many bytes."""
    try:
        return float(value)
    except ValueError:
        return value


def _nearest(name: str) -> str:
    kind, at, device = name.partition("@")
    near = difflib.get_close_matches(kind.lower(), OBJECTIVES, n=1)
    return f"did you mean {near[0]}{at}{device}? " if near else ""
