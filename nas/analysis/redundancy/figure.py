"""The panels of SlimFormer-3D's Fig. 2: drawn once, for the PNG file and for the page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas.analysis.axes_style import INK, MUTED, one_panel, style_axes
from nas.analysis.redundancy.analysis import Redundancy, SubLayer
from nas.analysis.redundancy.similarity import Scores

Metric = Literal["angular", "cka"]
METRICS: dict[Metric, str] = {"angular": "angular similarity", "cka": "linear CKA"}
NAMES = {"mixer": "token mixer", "mlp": "MLP"}
BLOCK = "#009e73"  # this and the next: Okabe and Ito's colour-blind safe palette
COLOURS = {"mixer": "#0072b2", "mlp": "#d55e00"}
LETTERS = {"mixer": "M", "mlp": "T"}
BAND = "#f5f7fa"


@dataclass(frozen=True)
class Line:
    """One curve; `scores[i]` stands at place i, None where there is nothing.

    `symbol`: the S of the paper with this index, or empty. `marked`: the places of sub-layers that
    are proposed to go.
    """

    name: str
    symbol: str
    colour: str
    scores: tuple[Scores | None, ...]
    marked: frozenset[int] = frozenset()

    def values(self, metric: Metric) -> list[float]:
        """The line's heights; NaN where there is none."""
        found = (None if scores is None else getattr(scores, metric) for scores in self.scores)
        return [float("nan") if value is None else value for value in found]


@dataclass(frozen=True)
class Panel:
    """One column of the figure, of layers or of blocks; `blocks[i]`, `ticks[i]` are place i's."""

    title: str
    layered: bool
    ticks: tuple[str, ...]
    blocks: tuple[int, ...]
    lines: tuple[Line, ...]

    def labels(self) -> list[str]:
        """The ticks; the first one of a block has the block below it."""
        starts = {start for start, _ in self.spans()}
        return [
            f"{tick}\nB{block}" if i in starts and self.layered else tick
            for i, (tick, block) in enumerate(zip(self.ticks, self.blocks, strict=True))
        ]

    def spans(self) -> list[tuple[int, int]]:
        """The first and the last place of every block."""
        places = {b: [i for i, other in enumerate(self.blocks) if other == b] for b in self.blocks}
        return [(min(found), max(found)) for found in places.values()]


Panels = tuple[Panel, Panel, Panel]


def panels(redundancy: Redundancy, closed: Collection[SubLayer] = ()) -> Panels:
    """Blocks; layers with the LN; layers without it. `closed` are marked where they are ranked."""
    blocks = redundancy.blocks
    scores, ticks = [b.scores for b in blocks], [f"B{b.block}" for b in blocks]
    if redundancy.bottleneck:
        scores, ticks = [*scores, redundancy.bottleneck], [*ticks, "bottleneck"]
    of_blocks = Line("block", "", BLOCK, tuple(scores))
    places = tuple(range(1, 1 + len(ticks)))
    return (
        Panel("blocks", False, tuple(ticks), places, (of_blocks,)),
        _layers(redundancy, "layers, with LN", "L", lambda s: s.with_norm, closed),
        _layers(redundancy, "layers, without LN", "", lambda s: s.without_norm, ()),
    )


def _layers(
    redundancy: Redundancy,
    title: str,
    prefix: str,
    scores_of: Callable[[SubLayer], Scores],
    closed: Collection[SubLayer],
) -> Panel:
    layers = redundancy.layers
    lines = []
    for part, name in NAMES.items():
        found = {s.layer: s for s in redundancy.sublayers if s.part == part}
        at = [found.get(layer.name) for layer in layers]
        scores = tuple(None if s is None else scores_of(s) for s in at)
        marked = frozenset(i for i, s in enumerate(at) if s is not None and s in closed)
        lines.append(Line(name, prefix + LETTERS[part], COLOURS[part], scores, marked))
    places = tuple(layer.block for layer in layers)
    ticks = tuple(f"L{layer.position}" for layer in layers)
    return Panel(title, True, ticks, places, tuple(lines))


def redundancy_figure(panels: Panels, title: str) -> Figure:
    """Angular similarity in the upper row, linear CKA in the lower one; a column a panel."""
    widths = [max(3, len(panel.ticks)) for panel in panels]
    balanced = [max(width, max(widths) / 2) for width in widths]
    figure = Figure(figsize=(13, 6.6), dpi=150, layout="constrained")
    axes = figure.subplots(2, len(panels), width_ratios=balanced, squeeze=False)
    for draw, ax in zip(_drawings(panels), axes.ravel(), strict=True):
        draw(ax)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK)
    return figure


def redundancy_panels(panels: Panels) -> list[Figure]:
    """The same as a figure a panel, for the page."""
    return [one_panel(draw, 4.4, 3.2) for draw in _drawings(panels)]


def _drawings(panels: Panels) -> list[Callable[[Axes], None]]:
    """Row by row. Blocks have a scale of their own; the two panels of layers share one."""
    return [
        partial(_draw, panel, metric, f"{'abc'[column]}$_{row}$", panels[1:] if column else [panel])
        for row, metric in enumerate(METRICS, start=1)
        for column, panel in enumerate(panels)
    ]


def _draw(panel: Panel, metric: Metric, number: str, sharing: Sequence[Panel], ax: Axes) -> None:
    for first, last in panel.spans()[1::2]:
        ax.axvspan(first - 0.5, last + 0.5, color=BAND, zorder=0)
    for line in panel.lines:
        _draw_line(ax, line, metric)
    labels = panel.labels()
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    values = [v for p in sharing for line in p.lines for v in line.values(metric) if v == v]
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = max(0.1 * (high - low), 0.01)
    ax.set_ylim(low - air, high + air)
    ax.set_ylabel(METRICS[metric], color=MUTED, fontsize=9)
    style_axes(ax, f"({number}) {panel.title}", "y")
    if panel.layered and metric == "angular":
        ax.legend(frameon=False, fontsize=9, labelcolor=MUTED)


def _draw_line(ax: Axes, line: Line, metric: Metric) -> None:
    values = line.values(metric)
    label = f"$S_{{{line.symbol}}}$ {line.name}" if line.symbol else line.name
    ax.plot(
        values, color=line.colour, linewidth=1.8, marker="o", markersize=5.5,
        markeredgecolor="white", label=label,
    )  # fmt: skip
    if places := sorted(line.marked):
        ax.plot(
            places, [values[i] for i in places], linestyle="none", marker="o", markersize=11,
            markerfacecolor="none", markeredgecolor=line.colour, markeredgewidth=1.4,
            label=f"{line.name}, proposed to go",
        )  # fmt: skip
