"""A front as a chart of characters, for a terminal without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

import plotext

from nas.pareto.objectives import objective
from nas.pareto.result import Result

HEIGHT = 18


def front_chart(members: Sequence[Result], cost: str, width: int) -> str:
    """Dice of the members against `cost`, which is drawn in logarithms; empty without any to draw.

    A member is drawn as its number, from 1, which is its row in the table of the same members; of
    those at one place the last is seen.
    """
    points = [
        (log10(value), member.dice, number)
        for number, member in enumerate(members, 1)
        if (value := member.value(cost)) and member.dice is not None
    ]
    if not points:
        return ""
    xs, ys, _ = zip(*points, strict=True)
    left, right = _wider(min(xs), max(xs))
    plotext.clear_figure()
    plotext.plotsize(width, HEIGHT)
    plotext.xlim(left, right)
    plotext.ylim(*_wider(min(ys), max(ys)))
    ticks = _ticks(left, right)
    plotext.xticks(ticks, [objective(cost).short(10**tick) for tick in ticks])
    plotext.title(f"Dice against {objective(cost).phrase}")
    for x, y, number in points:
        plotext.text(str(number), x=x, y=y, alignment="center")
    text: str = plotext.uncolorize(plotext.build())
    return "\n".join(line.rstrip() for line in text.splitlines())


def _ticks(low: float, high: float) -> list[float]:
    """The logarithms of 1, 2 and 5 times the powers of ten in between; over two decades, of 1."""
    steps = (1,) if high - low > 2 else (1, 2, 5)
    decades = range(floor(low), floor(high) + 1)
    ticks = [decade + log10(step) for decade in decades for step in steps]
    return [tick for tick in ticks if low <= tick <= high] or [low, high]


def _wider(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 0.02
    return low - margin, high + margin
