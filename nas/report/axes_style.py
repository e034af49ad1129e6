"""How figures look: one style of axes, axes of costs, and panels of one size for a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from nas.pareto.objectives import objective, short_number

INK, MUTED, GRID, LINE = "#1f2933", "#52606d", "#e4e7eb", "#cbd2d9"


def style_axes(ax: Axes, title: str, grid: Literal["x", "y", "both"]) -> None:
    """A title above, a line below, and a light grid behind."""
    size = mpl.rcParams["font.size"]
    ax.set_title(title, loc="left", fontsize=1.1 * size, color=INK)
    ax.set_axisbelow(True)
    ax.grid(axis=grid, color=GRID, linewidth=0.8)
    ax.tick_params(colors=MUTED, labelsize=0.9 * size, length=0)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)


def one_panel(draw: Callable[[Axes], None], width: float, height: float) -> Figure:
    """A figure (inches) of one panel, for a page."""
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots())
    return figure


def log_axis(ax: Axes, axis: Literal["x", "y"], name: str, values: Sequence[float]) -> None:
    """A logarithmic axis of the cost `name` that holds the values, one or more, with some air."""
    air = max(max(values) / min(values), 1.2) ** 0.04
    low, high = min(values) / air, max(values) * air
    getattr(ax, f"set_{axis}scale")("log")
    getattr(ax, f"set_{axis}lim")(low, high)
    along: Any = getattr(ax, f"{axis}axis")
    along.set_major_locator(FixedLocator(_log_ticks(low, high, 4 if name == "memory" else 10)))
    unit, base = objective(name).unit, objective(name).base
    tell = partial(short_number, unit=unit, base=base, digits=4)  # ticks may lie near each other
    along.set_major_formatter(FuncFormatter(lambda value, _: tell(value)))
    along.set_minor_locator(NullLocator())


def _log_ticks(low: float, high: float, base: int) -> list[float]:
    """Powers of the base, with twice and five times each where those are few, or even numbers."""
    first, last = (math.floor(math.log(value, base)) for value in (low, high))
    steps = (1,) if last - first > 2 else (1, 2) if base == 4 else (1, 2, 5)
    places = [float(step) * base**power for power in range(first, last + 1) for step in steps]
    if len(inside := [place for place in places if low <= place <= high]) < 3:
        inside = [float(place) for place in MaxNLocator(4).tick_values(low, high)]
    return inside[:: -(-len(inside) // 6) or 1]
