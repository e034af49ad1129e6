"""What the plots show, whatever draws them: the panels of SlimFormer-3D's Fig. 2."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from nas.analysis.redundancy.analysis import Redundancy, SubLayer
from nas.analysis.redundancy.similarity import Scores

Metric = Literal["angular", "cka"]
METRICS: dict[Metric, str] = {"angular": "angular similarity", "cka": "linear CKA"}
NAMES = {"mixer": "token mixer", "mlp": "MLP"}
BLOCK = "#009e73"  # this and the next: Okabe and Ito's colour-blind safe palette
COLOURS = {"mixer": "#0072b2", "mlp": "#d55e00"}
LETTERS = {"mixer": "M", "mlp": "T"}


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

    def values(self, metric: Metric) -> list[float | None]:
        """The line's heights."""
        return [None if scores is None else getattr(scores, metric) for scores in self.scores]


@dataclass(frozen=True)
class Panel:
    """One column of the figure, of layers or of blocks; `blocks[i]`, `ticks[i]` are place i's."""

    title: str
    layered: bool
    ticks: tuple[str, ...]
    blocks: tuple[int, ...]
    lines: tuple[Line, ...]

    def labels(self, newline: str) -> list[str]:
        """The ticks; the first one of a block has the block below it."""
        starts = {start for start, _ in self.spans()}
        return [
            f"{tick}{newline}B{block}" if i in starts and self.layered else tick
            for i, (tick, block) in enumerate(zip(self.ticks, self.blocks, strict=True))
        ]

    def spans(self) -> list[tuple[int, int]]:
        """The first and the last place of every block."""
        places = {b: [i for i, other in enumerate(self.blocks) if other == b] for b in self.blocks}
        return [(min(found), max(found)) for found in places.values()]


def panels(redundancy: Redundancy, closed: Collection[SubLayer] = ()) -> tuple[Panel, Panel, Panel]:
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


def heights(panels: Sequence[Panel], metric: Metric) -> tuple[float, float]:
    """The range of an axis that holds every value of `panels`, with some air."""
    values = [v for p in panels for line in p.lines for v in line.values(metric) if v is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = max(0.1 * (high - low), 0.01)
    return low - air, high + air
