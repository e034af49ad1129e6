"""A front as a chart of characters, for a terminal without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

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
    bottom, top = _wider(min(ys), max(ys))
    plotext.ylim(bottom, top)
    heights = _round_ticks(bottom, top)
    digits = max(0, -floor(log10(heights[1] - heights[0]) + 1e-9))
    plotext.yticks(heights, [f"{height:.{digits}f}" for height in heights])
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
    within = [tick for tick in ticks if low <= tick <= high]
    return within if len(within) > 1 else [low, high]


def _round_ticks(low: float, high: float) -> list[float]:
    """Two to seven round numbers in between."""
    rough = (high - low) / 7
    power = 10.0 ** floor(log10(rough))
    step = power * next(times for times in (1, 2, 5, 10) if times * power >= rough)
    return [place * step for place in range(ceil(low / step), floor(high / step) + 1)]


def _wider(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 0.02
    return low - margin, high + margin
