"""How all figures of the analyses look: one style of axes, and panels of one size for a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, LINE = "#1f2933", "#52606d", "#e4e7eb", "#cbd2d9"


def style_axes(ax: Axes, title: str, grid: Literal["x", "y", "both"]) -> None:
    """A title above, a line below, and a light grid behind."""
    ax.set_title(title, loc="left", fontsize=11, color=INK)
    ax.set_axisbelow(True)
    ax.grid(axis=grid, color=GRID, linewidth=0.8)
    ax.tick_params(colors=MUTED, labelsize=9, length=0)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)


def one_panel(draw: Callable[[Axes], None], width: float, height: float) -> Figure:
    """A figure (inches) of one panel, for a page."""
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots())
    return figure
