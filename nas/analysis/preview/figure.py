"""The preview as a PNG file, for papers and slides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from nas.analysis.preview.labels import SPOTS, Label
from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.panels import (
    AIR,
    BASELINE,
    LIMIT,
    OVER,
    PRESET,
    WITHIN,
    Bars,
    Cloud,
    Histogram,
    Mark,
    around,
    bars,
    histograms,
    latency_plane,
    marks,
    plane,
    ticks,
)
from nas.pareto.objectives import objective

PLANE_PIXELS = (560.0, 260.0)  # of the lower axes, at 72 a inch
INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"


def write_figure(preview: Preview, title: str, path: Path) -> None:
    """Distributions above, drivers in the middle, the known networks below."""
    known, measured = marks(preview), latency_plane(preview)
    figure = Figure(figsize=(13, 11.5), dpi=130, layout="constrained")
    grid = figure.add_gridspec(3, 6, height_ratios=[1, 1, 1.25])
    for column, (histogram, drivers) in enumerate(
        zip(histograms(preview), bars(preview), strict=True)
    ):
        span = slice(2 * column, 2 * column + 2)
        _draw_histogram(figure.add_subplot(grid[0, span]), histogram, known)
        _draw_bars(figure.add_subplot(grid[1, span]), drivers, legend=column == 0)
    wide = figure.add_subplot(grid[2, :3] if measured else grid[2, :4])
    _draw_cloud(wide, plane(preview), known)
    if measured:
        _draw_cloud(figure.add_subplot(grid[2, 3:5]), measured, [])
    _draw_names(figure.add_subplot(grid[2, 5:] if measured else grid[2, 4:]), known)
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, color=INK)
    figure.savefig(path, facecolor="white")


def _draw_histogram(ax: Axes, histogram: Histogram, known: Sequence[Mark]) -> None:
    lefts = histogram.edges[:-1]
    widths = [right - left for left, right in pairwise(histogram.edges)]
    ax.bar(lefts, histogram.within, widths, align="edge", color=WITHIN, label="within the budget")
    ax.bar(lefts, histogram.over, widths, histogram.within, align="edge", color=OVER, label="over")
    top = histogram.top
    values = [mark.reference.costs[histogram.name] for mark in known]
    for mark, value in zip(known, values, strict=True):
        _draw_mark(ax, mark, value, -top * (0.05 + 0.055 * (mark.number % 3)), 5.5)
    _style(ax, objective(histogram.name).title)
    span = around([*histogram.edges, *values], histogram.limit)
    _log(ax, "x", histogram.name, span, histogram.limit)
    ax.set_ylim(-0.24 * top, 1.08 * top)
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= top])
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_ylabel(f"of {histogram.count:,} architectures", color=MUTED, fontsize=9)


def _draw_bars(ax: Axes, panel: Bars, legend: bool) -> None:
    left = [0.0] * len(panel.drivers)
    for label, colour, shares in panel.parts:
        ax.barh(panel.knobs, shares, left=left, color=colour, height=0.62, label=label)
        left = shares
    ax.invert_yaxis()
    _style(ax, panel.title)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    if legend:
        ax.legend(frameon=False, fontsize=8.5, labelcolor=MUTED, loc="lower right")


def _draw_cloud(ax: Axes, cloud: Cloud, known: Sequence[Mark]) -> None:
    for within, colour in ((False, OVER), (True, WITHIN)):
        chosen = [i for i, inside in enumerate(cloud.within) if inside is within]
        ax.scatter(
            [cloud.x[i] for i in chosen],
            [cloud.y[i] for i in chosen],
            s=10 if known else 26,
            color=colour,
            linewidths=0,
            alpha=0.45 if known else 0.9,
        )
    for mark, label in zip(known, cloud.labels(known, *PLANE_PIXELS), strict=True):
        costs = mark.reference.costs
        x, y = costs[cloud.x_name], costs[cloud.y_name]
        _draw_mark(ax, mark, x, y, 7)
        _draw_label(ax, label, x, y)
    _style(ax, f"{objective(cloud.y_name).title} against {objective(cloud.x_name).title}")
    x_span, y_span = cloud.spans(known)
    _log(ax, "x", cloud.x_name, x_span, cloud.x_limit)
    _log(ax, "y", cloud.y_name, y_span, cloud.y_limit)
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_xlabel(objective(cloud.x_name).title, color=MUTED)
    ax.set_ylabel(objective(cloud.y_name).title, color=MUTED)


def _draw_mark(ax: Axes, mark: Mark, x: float, y: float, size: float) -> None:
    """Hollow where the network is over the budget."""
    ax.plot(
        x,
        y,
        marker="o" if mark.baseline else "D",
        markersize=size if mark.baseline else 0.85 * size,
        markerfacecolor="white" if mark.reference.excess else mark.colour,
        markeredgecolor=mark.colour,
        markeredgewidth=1.2,
        linestyle="none",
    )


def _draw_label(ax: Axes, label: Label, x: float, y: float) -> None:
    across, up = (-2 * (part + 0.5) for part in SPOTS[label.spot])  # -1 to 1, away from the text
    ax.annotate(
        label.text,
        (x, y),
        xytext=(-AIR * across, -AIR * up),
        textcoords="offset points",
        ha={1: "right", 0: "center", -1: "left"}[round(across)],
        va={1: "top", 0: "center", -1: "bottom"}[round(up)],
        fontsize=8.5,
        color=INK,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )


def _draw_names(ax: Axes, known: Sequence[Mark]) -> None:
    ax.axis("off")
    handles = [
        Patch(color=WITHIN, label="within the budget"),
        Patch(color=OVER, label="over"),
        Line2D([], [], marker="D", color=PRESET, linestyle="none", label="preset of the space"),
        Line2D([], [], marker="o", color=BASELINE, linestyle="none", label="baseline"),
        Line2D(
            [], [], marker="o", color=MUTED, markerfacecolor="white", linestyle="none",
            label="hollow: over the budget",
        ),
        Line2D([], [], color=LIMIT, linestyle="--", label="limit"),
    ]  # fmt: skip
    ax.legend(handles=handles, frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    rows = [f"{mark.number:>2}  {mark.reference.name}" for mark in known]
    half = -(-len(rows) // 2)
    for x, part in ((0.04, rows[:half]), (0.54, rows[half:])):
        ax.text(
            x, 0.6, "\n".join(part), va="top", fontsize=9, color=INK, transform=ax.transAxes,
            linespacing=1.4,
        )  # fmt: skip


def _log(ax: Axes, axis: str, name: str, span: tuple[float, float], limit: float | None) -> None:
    low, high = span
    places = ticks(name, low, high)
    getattr(ax, f"set_{axis}scale")("log")
    getattr(ax, f"set_{axis}lim")(low, high)
    along: Any = getattr(ax, f"{axis}axis")
    along.set_major_locator(FixedLocator(list(places)))
    along.set_major_formatter(FuncFormatter(lambda value, _: objective(name).short(value)))
    along.set_minor_locator(NullLocator())
    if limit is not None:
        draw = ax.axvline if axis == "x" else ax.axhline
        draw(limit, color=LIMIT, linestyle="--", linewidth=1.3)


def _style(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", fontsize=11, color=INK)
    ax.set_axisbelow(True)
    ax.tick_params(colors=MUTED, labelsize=9, length=0)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color("#cbd2d9")
