"""The similarities as a table, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Collection

from rich.table import Table

from nas.analysis.redundancy.analysis import Redundancy, SubLayer
from nas.analysis.redundancy.figure import NAMES
from nas.analysis.redundancy.similarity import Scores
from nas.pareto.objectives import short_number
from nas.report.plain_table import plain_table

HEAD = ("with LN\nangular", "with LN\nCKA", "no LN\nangular", "no LN\nCKA", "\nparams", "\nrank")
MARK = "*"
LEGEND = f"rank 1: most redundant; {MARK} the proposal does without it"
UNKNOWN = "-"


def redundancy_table(
    redundancy: Redundancy, closed: Collection[SubLayer], modules: bool = False
) -> Table:
    """Blocks in bold, their layers and sub-layers below them.

    Fits 80 columns without `modules`, the column of module names.
    """
    volumes = len(redundancy.volumes)
    blocks = ", ".join(f"B{block.block} {block.name}" for block in redundancy.blocks)
    left = ("\npart", "\nmodule") if modules else ("\npart",)
    table = plain_table(
        left,
        HEAD,
        whole=(*left, *HEAD),
        title=f"input against output, over {volumes} volume{'s' if volumes > 1 else ''}",
        caption=f"{LEGEND}\n{blocks}",
    )

    def add(label: str, module: str, *cells: str, style: str = "") -> None:
        table.add_row(label, *([module] if modules else []), *cells, style=style)

    ranks = {(s.layer, s.part): str(i) for i, s in enumerate(redundancy.ranked(), start=1)}
    for block in redundancy.blocks:
        add(f"B{block.block}", block.name, *_pair(block.scores), style="bold")
        for layer in (layer for layer in redundancy.layers if layer.block == block.block):
            add(f"  B{layer.block} L{layer.position}", layer.name, *_pair(layer.scores))
            for part in (s for s in redundancy.sublayers if s.layer == layer.name):
                rank = ranks.get((part.layer, part.part), UNKNOWN)
                add(
                    f"    {NAMES[part.part]}",
                    f"{part.layer}.{part.part}",
                    *_pair(part.with_norm),
                    *_pair(part.without_norm),
                    short_number(part.params),
                    f"{rank} {MARK if part in closed else ' '}",
                    style="magenta" if part in closed else "",
                )
    if redundancy.bottleneck:
        add("bottleneck", "bottleneck", *_pair(redundancy.bottleneck), style="bold")
    return table


def _pair(scores: Scores) -> list[str]:
    """Four digits each; a dash for the undefined."""
    values = (scores.angular, scores.cka)
    return [UNKNOWN if value is None else f"{value:.4f}" for value in values]
