"""The similarities as a table, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rich import box
from rich.table import Table

from nas.analysis.redundancy.analysis import Redundancy, SubLayer
from nas.analysis.redundancy.figure import NAMES
from nas.analysis.redundancy.similarity import Scores
from nas.pareto.objectives import short_number

HEAD = ("with LN angular", "with LN CKA", "no LN angular", "no LN CKA", "params", "rank")
MARK = "*"
LEGEND = f"rank 1: most redundant; {MARK} the proposal does without it"
UNKNOWN = "-"


@dataclass(frozen=True)
class Row:
    """`cells` stand under HEAD. `level`: 0 a block, 1 a layer, 2 a sub-layer."""

    level: int
    label: str
    module: str
    cells: tuple[str, ...]


def table_rows(redundancy: Redundancy, closed: Collection[SubLayer]) -> Iterator[Row]:
    """Every block, its layers and their sub-layers."""
    ranks = {(s.layer, s.part): str(i) for i, s in enumerate(redundancy.ranked(), start=1)}
    for block in redundancy.blocks:
        yield Row(0, f"B{block.block}", block.name, _whole(block.scores))
        for layer in (layer for layer in redundancy.layers if layer.block == block.block):
            label = f"B{layer.block} L{layer.position}"
            yield Row(1, label, layer.name, _whole(layer.scores))
            for part in (s for s in redundancy.sublayers if s.layer == layer.name):
                rank = ranks.get((part.layer, part.part), UNKNOWN)
                cells = (
                    *_pair(part.with_norm),
                    *_pair(part.without_norm),
                    short_number(part.params),
                    f"{rank} {MARK if part in closed else ' '}",
                )
                yield Row(2, NAMES[part.part], f"{part.layer}.{part.part}", cells)
    if redundancy.bottleneck:
        yield Row(0, "bottleneck", "bottleneck", _whole(redundancy.bottleneck))


def redundancy_table(redundancy: Redundancy, closed: Collection[SubLayer]) -> Table:
    """Blocks in bold, their layers and sub-layers below them. Fits 80 columns."""
    volumes = len(redundancy.volumes)
    blocks = ", ".join(f"B{block.block} {block.name}" for block in redundancy.blocks)
    table = Table(
        title=f"input against output, over {volumes} volume{'s' if volumes > 1 else ''}",
        caption=f"{LEGEND}\n{blocks}",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
    )
    table.add_column("\npart", no_wrap=True)
    for name in HEAD:
        words, _, last = name.rpartition(" ")
        table.add_column(f"{words}\n{last}", justify="right", no_wrap=True)
    for row in table_rows(redundancy, closed):
        marked = row.cells[-1].endswith(MARK)
        style = "bold" if row.level == 0 else "magenta" if marked else ""
        table.add_row("  " * row.level + row.label, *row.cells, style=style)
    return table


def score(value: float | None) -> str:
    """Four digits; a dash for the undefined."""
    return UNKNOWN if value is None else f"{value:.4f}"


def _pair(scores: Scores) -> tuple[str, str]:
    return score(scores.angular), score(scores.cka)


def _whole(scores: Scores) -> tuple[str, ...]:
    return (*_pair(scores), "", "", "", "")
