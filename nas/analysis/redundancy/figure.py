"""The figure as a PNG file, for papers and slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas.analysis.redundancy.panels import METRICS, Line, Metric, Panel, heights

INK, MUTED, GRID, BAND = "#1f2933", "#52606d", "#e4e7eb", "#f5f7fa"


def write_figure(panels: Sequence[Panel], title: str, path: Path) -> None:
    """Angular similarity in the upper row, linear CKA in the lower one; a column a panel."""
    widths = [max(3, len(panel.ticks)) for panel in panels]
    figure = Figure(figsize=(13, 6.6), dpi=150, layout="constrained")
    axes = figure.subplots(2, len(panels), width_ratios=_balanced(widths), squeeze=False)
    for row, (metric, name) in enumerate(METRICS.items()):
        for column, panel in enumerate(panels):
            ax = axes[row, column]
            _draw(ax, panel, metric)
            ax.set_ylim(*heights(_sharing(panels, column), metric))
            letter = "abc"[column]
            ax.set_title(
                f"({letter}$_{row + 1}$) {panel.title}", loc="left", fontsize=11, color=INK
            )
            if column < 2:
                ax.set_ylabel(name, color=MUTED)
            if row == 0 and panel.layered:
                ax.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK)
    figure.savefig(path, facecolor="white")


def _balanced(widths: Sequence[int]) -> list[float]:
    """No column more than twice as wide as another."""
    return [max(width, max(widths) / 2) for width in widths]


def _sharing(panels: Sequence[Panel], column: int) -> Sequence[Panel]:
    """Blocks have a scale of their own; the two panels of layers share one."""
    return panels[:1] if column == 0 else panels[1:]


def _draw(ax: Axes, panel: Panel, metric: Metric) -> None:
    for first, last in panel.spans()[1::2]:
        ax.axvspan(first - 0.5, last + 0.5, color=BAND, zorder=0)
    for line in panel.lines:
        _curve(ax, line, metric)
    labels = panel.labels("\n")
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=MUTED, labelsize=9, length=0)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color("#cbd2d9")


def _curve(ax: Axes, line: Line, metric: Metric) -> None:
    values = [float("nan") if v is None else v for v in line.values(metric)]
    label = f"$S_{{{line.symbol}}}$ {line.name}" if line.symbol else line.name
    ax.plot(
        range(len(values)),
        values,
        color=line.colour,
        linewidth=1.8,
        marker="o",
        markersize=5.5,
        markeredgecolor="white",
        label=label,
    )
    if line.marked:
        places = sorted(line.marked)
        ax.plot(
            places,
            [values[i] for i in places],
            linestyle="none",
            marker="o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor=line.colour,
            markeredgewidth=1.4,
            label=f"{line.name}, proposed to go",
        )
