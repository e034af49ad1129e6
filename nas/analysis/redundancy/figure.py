"""The panels of SlimFormer-3D's Fig. 2: drawn once, for the PNG file and for the page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas.analysis.redundancy.analysis import Redundancy, SubLayer
from nas.analysis.redundancy.similarity import Scores
from nas.report.axes_style import INK, MUTED, one_panel, style_axes

Metric = Literal["angular", "cka"]
METRICS: dict[Metric, str] = {"angular": "angular similarity", "cka": "linear CKA"}
NAMES = {"mixer": "token mixer", "mlp": "MLP"}
SYMBOLS = {"mixer": "M", "mlp": "T"}  # of the paper's S_M and S_T; S_LM and S_LT with the LN
BLOCK = "#009e73"  # this and the next: Okabe and Ito's colour-blind safe palette
COLOURS = {"mixer": "#0072b2", "mlp": "#d55e00"}
BAND = "#f5f7fa"


def redundancy_figure(redundancy: Redundancy, closed: Collection[SubLayer], title: str) -> Figure:
    """Blocks, layers with the LN, layers without it, for a paper or a slide.

    Angular similarity above, linear CKA below; rings mark the sub-layers `closed`.
    """
    blocks = len(redundancy.blocks) + bool(redundancy.bottleneck)
    width = max(blocks, len(redundancy.layers), 3)
    figure = Figure(figsize=(13, 6.6), dpi=150, layout="constrained")
    ratios = [max(blocks, width / 2), *2 * [max(len(redundancy.layers), width / 2)]]
    axes = figure.subplots(2, 3, width_ratios=ratios)
    for draw, ax in zip(_panels(redundancy, closed), axes.ravel(), strict=True):
        draw(ax)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK)
    return figure


def redundancy_panels(redundancy: Redundancy, closed: Collection[SubLayer]) -> list[Figure]:
    """The same as a figure a panel, for the page."""
    return [one_panel(draw, 4.4, 3.2) for draw in _panels(redundancy, closed)]


def _panels(redundancy: Redundancy, closed: Collection[SubLayer]) -> list[Callable[[Axes], None]]:
    """What draws each panel, row by row."""
    return [
        draw
        for row, metric in enumerate(METRICS, start=1)
        for draw in (
            partial(_draw_blocks, redundancy, metric, f"(a$_{row}$) blocks"),
            partial(_draw_layers, redundancy, metric, f"(b$_{row}$) layers, with LN", True, closed),
            partial(_draw_layers, redundancy, metric, f"(c$_{row}$) layers, without LN", False, ()),
        )
    ]


def _draw_blocks(redundancy: Redundancy, metric: Metric, title: str, ax: Axes) -> None:
    scores = {f"B{block.block}": block.scores for block in redundancy.blocks}
    if redundancy.bottleneck:
        scores["bottleneck"] = redundancy.bottleneck
    values = [_value(one, metric) for one in scores.values()]
    _draw_line(ax, values, BLOCK, "block")
    _style(ax, metric, title, list(scores), [(i, i) for i in range(len(scores))], values)


def _draw_layers(
    redundancy: Redundancy,
    metric: Metric,
    title: str,
    with_norm: bool,
    closed: Collection[SubLayer],
    ax: Axes,
) -> None:
    layers, ticks, spans = redundancy.layers, [], []
    for block, group in groupby(enumerate(layers), lambda place: place[1].block):
        places = [place for place, _ in group]
        spans.append((places[0], places[-1]))
        ticks += [f"L{layers[i].position}" + f"\nB{block}" * (i == places[0]) for i in places]
    for part, name in NAMES.items():
        found = {s.layer: s for s in redundancy.sublayers if s.part == part}
        parts = [found.get(layer.name) for layer in layers]
        of = attrgetter("with_norm" if with_norm else "without_norm")
        values = [_value(of(s) if s else None, metric) for s in parts]
        symbol = f"$S_{{{'L' * with_norm}{SYMBOLS[part]}}}$"
        _draw_line(ax, values, COLOURS[part], f"{symbol} {name}")
        if places := [i for i, s in enumerate(parts) if s and s in closed]:
            ax.plot(
                places, [values[i] for i in places], linestyle="none", marker="o", markersize=11,
                markerfacecolor="none", markeredgecolor=COLOURS[part], markeredgewidth=1.4,
                label=f"{name}, proposed to go",
            )  # fmt: skip
    if metric == "angular":
        ax.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    both = [one for s in redundancy.sublayers for one in (s.with_norm, s.without_norm)]
    _style(ax, metric, title, ticks, spans, [_value(one, metric) for one in both])


def _draw_line(ax: Axes, values: Sequence[float], colour: str, label: str) -> None:
    ax.plot(
        values, color=colour, linewidth=1.8, marker="o", markersize=5.5, markeredgecolor="white",
        label=label,
    )  # fmt: skip


def _style(
    ax: Axes,
    metric: Metric,
    title: str,
    ticks: Sequence[str],
    blocks: Sequence[tuple[int, int]],
    values: Sequence[float],
) -> None:
    """Every second block shaded; a scale that holds the `values`, which panels share."""
    for first, last in blocks[1::2]:
        ax.axvspan(first - 0.5, last + 0.5, color=BAND, zorder=0)
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_xlim(-0.5, len(ticks) - 0.5)
    known = [value for value in values if value == value]
    low, high = min(known, default=0.0), max(known, default=1.0)
    air = max(0.1 * (high - low), 0.01)
    ax.set_ylim(low - air, high + air)
    ax.set_ylabel(METRICS[metric], color=MUTED, fontsize=9)
    style_axes(ax, title, "y")


def _value(scores: Scores | None, metric: Metric) -> float:
    """NaN, which is not drawn, where there is none."""
    value = getattr(scores, metric, None)
    return float("nan") if value is None else value
