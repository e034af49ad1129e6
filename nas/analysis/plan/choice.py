"""A value of a configuration with the reason for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Choice(Generic[Value]):
    """`why`: one or two sentences in plain words, which the YAML file has as a comment."""

    value: Value
    why: str


def coarse(value: float) -> float:
    """`value` on a ladder of six to a decade (1, 1.5, 2, 3, 5, 7, 10), the nearest by ratio.

    What was measured goes through it, so that two plans on one kind of machine agree.
    """
    if value <= 0:
        return 0.0
    decade = 10.0 ** math.floor(math.log10(value))
    steps = [decade * step for step in (1, 1.5, 2, 3, 5, 7, 10)]
    return float(f"{min(steps, key=lambda step: max(step / value, value / step)):.6g}")
