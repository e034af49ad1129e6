"""The figures of a report, as wide as a page of a paper."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nas.pareto.objectives import objective
from nas.pareto.result import Result
from nas.report.axes_style import log_axis, style_axes
from nas.report.search_record import SearchRecord
from nas.study.knob_importance import Importance
from nas.tracking.metrics import curve_points

FRONT, MUTED, BASELINE = "#0072b2", "#9aa5b1", "#007a5a"
WIDTH, PANEL = 7.2, 2.7  # inches: of two columns of a paper, and the height of a panel
DPI = 300
KNOBS = 8  # of a panel
STYLE: Any = {"font.size": 8, "pdf.fonttype": 42, "svg.fonttype": "none"}


def figures(record: SearchRecord, validate_every: int) -> dict[str, Figure]:
    """The figures that there are data for, by name.

    `validate_every`: the epochs between two points of a curve.
    """
    complete = [result for result in record.results if result.state == "complete"]
    with mpl.rc_context(STYLE):
        drawn = {"front": _front(record, complete)} if complete else {}
        if any(result.curve for result in record.results):
            drawn["curves"] = _curves(record, validate_every)
        if record.importances:
            drawn["importance"] = _importances(record.importances)
    return drawn


def image(figure: Figure, form: str) -> bytes:
    """The figure as a `png` of 300 dpi or a `pdf`."""
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format=form, dpi=DPI, facecolor="white")
    return file.getvalue()


def staircase(members: Iterable[Result], cost: str) -> list[tuple[float, float]]:
    """(cost, Dice) of the members whose Dice no cheaper member reaches, in ascending cost."""
    steps: list[tuple[float, float]] = []
    known = [m for m in members if m.dice is not None and cost in m.costs]
    for value, worse in sorted((m.costs[cost], -(m.dice or 0.0)) for m in known):
        if not steps or -worse > steps[-1][1]:
            steps.append((value, -worse))
    return steps


def _front(record: SearchRecord, complete: Sequence[Result]) -> Figure:
    keys = {member.key for member in record.members}
    figure, axes = _panels(len(record.costs), share_y=True)
    for ax, cost in zip(axes, record.costs, strict=True):
        for label, colour, size, inside in (
            ("other networks", MUTED, 10, False),
            ("front", FRONT, 20, True),
        ):
            drawn = [r for r in complete if (r.key in keys) is inside and cost in r.costs]
            x = [r.costs[cost] for r in drawn]
            y = [r.dice or 0.0 for r in drawn]
            ax.scatter(x, y, s=size, color=colour, linewidths=0, label=label, zorder=3 + inside)
        for network in (b for b in record.beside if cost in b.costs):
            at = (network.costs[cost], network.dice or 0.0)
            mark = "s" if network.baseline else "*"
            ax.plot(*at, mark, markersize=5, color=BASELINE, fillstyle="none")
            ax.annotate(network.made or network.label, at, (0, 5), textcoords="offset points",
                        ha="center", fontsize=6, color=BASELINE)  # fmt: skip
        if steps := staircase(record.members, cost):
            ax.step(*zip(*steps, strict=True), where="post", color=FRONT, linewidth=1, zorder=2)
        if values := [r.costs[cost] for r in (*complete, *record.beside) if cost in r.costs]:
            log_axis(ax, "x", cost, values)
        ax.set_xlabel(objective(cost).title)
        style_axes(ax, "", "both")
    axes[0].set_ylabel("Validation Dice")
    axes[0].legend(frameon=False, loc="lower right", handletextpad=0.2)
    return figure


def _curves(record: SearchRecord, validate_every: int) -> Figure:
    keys = {member.key for member in record.members}
    figure, [ax] = _panels(1)
    groups: Sequence[tuple[str, str, float, Callable[[Result], bool]]] = (
        ("stopped early", "#cbd2d9", 0.6, lambda r: r.state == "stopped"),
        ("other networks", MUTED, 0.8, lambda r: r.state == "complete" and r.key not in keys),
        ("front", FRONT, 1.1, lambda r: r.key in keys),
    )
    for label, colour, width, chosen in groups:
        for result in filter(chosen, record.results):
            points = curve_points(result, validate_every)
            if points:
                ax.plot(
                    *zip(*points, strict=True), color=colour, linewidth=width, label=label,
                    marker="o", markersize=1.5,
                )  # fmt: skip
                label = "_" + label.lstrip("_")  # once in the legend
    ax.set_xlabel("Epoch")
    ax.set_ylabel("Validation Dice")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.legend(frameon=False, loc="lower right")
    style_axes(ax, "", "both")
    return figure


def _importances(found: Sequence[Importance]) -> Figure:
    figure, axes = _panels(len(found))
    for ax, importance in zip(axes, found, strict=True):
        draw_importance(ax, importance)
        style_axes(ax, objective(importance.objective).title, "x")
    return figure


def draw_importance(ax: Axes, importance: Importance) -> None:
    """Bars of the knobs that matter most, dark where that is beyond chance."""
    shares = list(importance.shares.items())[:KNOBS]
    colours = [FRONT if name in importance.beyond_chance else MUTED for name, _ in shares]
    ax.barh([name for name, _ in shares], [share for _, share in shares], color=colours)
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    ax.xaxis.set_major_locator(MaxNLocator(3))


def _panels(count: int, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels: up to three side by side, more of them in rows of two."""
    columns = count if count <= 3 else 2
    rows = -(-count // columns)
    figure = Figure(
        figsize=(WIDTH if count > 1 else WIDTH / 1.6, PANEL * rows), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y).ravel()
    for spare in grid[count:]:
        spare.axis("off")
    return figure, list(grid[:count])
