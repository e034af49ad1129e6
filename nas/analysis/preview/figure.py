"""The panels of a preview: drawn once, for the PNG file and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from nas.analysis.preview.known_networks import KnownNetwork
from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.survey import log_bins
from nas.pareto.objectives import objective
from nas.report.axes_style import INK, MUTED, log_axis, one_panel, style_axes
from nas.report.plots import draw_importance
from nas.study.knob_importance import Importance

WITHIN, OVER, LIMIT = "#0072b2", "#b8bec6", "#d55e00"  # Okabe and Ito's palette, and a grey
PRESET, BASELINE = "#009e73", "#cc79a7"
BINS = 36
LANES = 3  # rows of known networks below a histogram
COSTS = ("params", "macs", "memory")


def preview_figure(preview: Preview, title: str) -> Figure:
    """Distributions above, knobs in the middle, known networks below: for a paper or a slide."""
    planes = list(_planes(preview))
    more = planes[2:]  # of latencies on further devices, two in a row
    rows = -(-len(more) // 2)
    size, layout = (13, 11.5 + 4 * rows), ConstrainedLayoutEngine(h_pad=0.12)
    figure = Figure(figsize=size, dpi=130, layout=layout)
    grid = figure.add_gridspec(3 + rows, 6, height_ratios=[1, 1, 1.25, *[1.25] * rows])
    for column, name in enumerate(COSTS):
        _draw_histogram(preview, name, figure.add_subplot(grid[0, 2 * column : 2 * column + 2]))
    for column, importance in enumerate(preview.importances):
        _draw_knobs(importance, figure.add_subplot(grid[1, 2 * column : 2 * column + 2]))
    edges = (0, 3, 5) if len(planes) > 1 else (0, 4)
    for draw, (left, right) in zip(planes, pairwise(edges), strict=False):
        draw(figure.add_subplot(grid[2, left:right]))
    for place, draw in enumerate(more):
        row, column = divmod(place, 2)
        draw(figure.add_subplot(grid[3 + row, 3 * column : 3 * column + 3]))
    _draw_legend(preview.known, figure.add_subplot(grid[2, edges[-1] :]))
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, color=INK)
    return figure


def histogram_panels(preview: Preview) -> list[Figure]:
    """A panel a cost, for the page."""
    return [one_panel(partial(_draw_histogram, preview, name), 4.4, 3.2) for name in COSTS]


def knob_panels(preview: Preview) -> list[Figure]:
    """Likewise, which knobs drive it."""
    return [one_panel(partial(_draw_knobs, one), 4.4, 2.8) for one in preview.importances]


def plane_panels(preview: Preview) -> list[Figure]:
    """The architectures in planes of two costs."""
    return [one_panel(draw, 6.6, 4.2) for draw in _planes(preview)]


def _planes(preview: Preview) -> Iterator[partial[None]]:
    yield partial(_draw_plane, preview, "params", preview.known)
    for name, latencies in preview.latencies.items():
        if latencies.found:
            yield partial(_draw_plane, preview, name, [])


def _draw_histogram(preview: Preview, name: str, ax: Axes) -> None:
    """Architectures by a cost, within the whole budget as far as it is known, and not."""
    places, values = preview.survey.sample(name), preview.survey.values(name)
    inside = set(preview.survey.within(preview.budget))
    edges = log_bins(values, BINS)
    passing = np.array([place in inside for place in places], dtype=bool)
    within, over = (np.histogram(np.array(values)[c], edges)[0] for c in (passing, ~passing))
    ax.bar(edges[:-1], within, np.diff(edges), align="edge", color=WITHIN)
    ax.bar(edges[:-1], over, np.diff(edges), within, align="edge", color=OVER)
    top = max(int((within + over).max()), 1)
    for rank, network in enumerate(sorted(preview.known, key=lambda known: known.costs[name])):
        _draw_mark(ax, network, network.costs[name], -top * (0.06 + 0.085 * (rank % LANES)))
    style_axes(ax, objective(name).title, "y")
    held = [*edges, *(network.costs[name] for network in preview.known)]
    _cost_axis(preview, ax, "x", name, held)
    ax.set_ylim(-0.32 * top, 1.05 * top)
    ticks = MaxNLocator(4, integer=True).tick_values(0, top)
    ax.set_yticks([tick for tick in ticks if 0 <= tick <= top])
    ax.set_ylabel(f"of {len(values):,} architectures", color=MUTED, fontsize=9)


def _draw_knobs(importance: Importance, ax: Axes) -> None:
    draw_importance(ax, importance)
    style_axes(ax, f"What drives {objective(importance.objective).phrase}", "x")


def _draw_plane(preview: Preview, y_name: str, known: Sequence[KnownNetwork], ax: Axes) -> None:
    """Every architecture of which both costs are known by MACs and another cost."""
    costs = [c for c in preview.survey.costs if "macs" in c and y_name in c]
    for within, colour in ((False, OVER), (True, WITHIN)):
        shown = [c for c in costs if (not preview.budget.excess(c)) is within]
        style: dict[str, Any] = {"s": 10, "alpha": 0.45} if known else {"s": 30, "alpha": 0.9}
        xy = [[c[name] for c in shown] for name in ("macs", y_name)]
        ax.scatter(*xy, color=colour, linewidths=0, **style)
    for network in known:
        _draw_mark(ax, network, network.costs["macs"], network.costs[y_name])
    style_axes(ax, f"{objective(y_name).title} against MACs", "both")
    axes: dict[Literal["x", "y"], str] = {"x": "macs", "y": y_name}
    for axis, name in axes.items():
        values = [c[name] for c in (*costs, *(network.costs for network in known))]
        if known or axis == "y":
            _cost_axis(preview, ax, axis, name, values)
        else:  # its limit may be far away
            log_axis(ax, axis, name, values)
        getattr(ax, f"set_{axis}label")(objective(name).title, color=MUTED, fontsize=9)


def _draw_mark(ax: Axes, network: KnownNetwork, x: float, y: float) -> None:
    """Its number on a diamond (a preset) or a circle (a baseline), hollow over the budget."""
    colour = BASELINE if network.baseline else PRESET
    face, ink = ("white", colour) if network.excess else (colour, "white")
    ax.plot(
        x, y, linestyle="none", marker="o" if network.baseline else "D",
        markersize=9.5 if network.baseline else 8.5, markerfacecolor=face, markeredgecolor=colour,
        zorder=3 + network.number / 100, clip_on=False,
    )  # fmt: skip
    ax.annotate(
        str(network.number), (x, y), ha="center", va="center_baseline", fontsize=6, color=ink,
        fontweight="bold", zorder=3 + network.number / 100,
    )  # fmt: skip


def _draw_legend(known: Sequence[KnownNetwork], ax: Axes) -> None:
    ax.axis("off")
    mark: dict[str, Any] = {"linestyle": "none", "markersize": 8}
    handles = [
        Patch(color=WITHIN, label="within the budget; a knob beyond chance"),
        Patch(color=OVER, label="over the budget; a knob within chance"),
        Line2D([], [], marker="D", color=PRESET, label="preset of the space", **mark),
        Line2D([], [], marker="o", color=BASELINE, label="baseline", **mark),
        Line2D([], [], marker="o", color=MUTED, mfc="white", label="over the budget", **mark),
        Line2D([], [], color=LIMIT, linestyle="--", label="limit"),
    ]
    ax.legend(handles=handles, frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    rows = [f"{network.number:>2}  {network.name}" for network in known]
    half = -(-len(rows) // 2)
    for x, part in ((0.04, rows[:half]), (0.54, rows[half:])):
        ax.text(
            x, 0.6, "\n".join(part), va="top", fontsize=9, color=INK, transform=ax.transAxes,
            linespacing=1.4,
        )  # fmt: skip


def _cost_axis(
    preview: Preview, ax: Axes, axis: Literal["x", "y"], name: str, values: Sequence[float]
) -> None:
    """An axis of that cost, which holds the values and the budget's limit."""
    limit = preview.budget.limits().get(name)
    log_axis(ax, axis, name, values if limit is None else [*values, limit])
    if limit is not None:
        draw = ax.axvline if axis == "x" else ax.axhline
        draw(limit, color=LIMIT, linestyle="--", linewidth=1.3)
