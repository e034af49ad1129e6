"""The tables of a preview, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.survey import log_bins
from nas.pareto.objectives import COSTS, objective

COLUMNS = 20  # characters of a histogram
BLOCKS = "▁▂▃▄▅▆▇█"
KNOBS = 8
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class TextTable:
    """Cells of text below a head; the columns `left` are aligned to the left."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str | Text]]
    left: frozenset[int] = frozenset({0})

    def for_terminal(self) -> Table:
        """The same for rich, which may break the last column."""
        table = Table(
            title=self.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
            pad_edge=False,
        )  # fmt: skip
        for i, head in enumerate(self.head):
            last = i == len(self.head) - 1
            table.add_column(head, justify="left" if i in self.left else "right", no_wrap=not last)
        for row in self.rows:
            table.add_row(*row)
        return table


def cost_table(preview: Preview) -> TextTable:
    """A row a cost: its distribution, its limit and the share within."""
    shares = {limit.name: limit for limit in preview.allowed.limits}
    rows: list[list[str | Text]] = []
    for name in COSTS:
        if values := preview.survey.values(name):
            limited, short = shares.get(name), objective(name).short
            rows.append(
                [
                    objective(name).phrase,
                    sparkline(values, limited.limit if limited else None),
                    *(short(q) for q in np.quantile(values, QUANTILES).tolist()),
                    short(limited.limit) if limited else "",
                    f"{limited.share:.0%}" if limited else "",
                    f"{len(values):,}",
                ]
            )
    quantiles = (f"{q:.0%}" for q in QUANTILES)
    head = ("cost", "distribution", *quantiles, "limit", "within", "of")
    return TextTable("costs", head, rows, frozenset({0, 1}))


def knob_table(preview: Preview) -> TextTable:
    """The knobs that matter most, a column a cost."""
    columns = [
        [
            f"{share:4.0%} {knob if knob in found.beyond_chance else f'({knob})'}"
            for knob, share in list(found.shares.items())[:KNOBS]
        ]
        for found in preview.importances
    ]
    return TextTable(
        "importance of the knobs, in brackets where it is within chance",
        tuple(objective(found.objective).phrase for found in preview.importances),
        list(zip_longest(*columns, fillvalue="")),
        frozenset(range(len(columns))),
    )


def network_table(preview: Preview) -> TextTable:
    """The known networks and what they cost."""
    rows: list[list[str | Text]] = []
    for known in preview.known:
        excess = (f"{objective(n).phrase} {factor:.3g}x" for n, factor in known.excess.items())
        over = ", ".join(excess)
        rows.append(
            [
                str(known.number),
                known.name,
                *(objective(n).short(known.costs[n]) for n in ("params", "macs", "memory")),
                "yes" if known.reachable else "no",
                Text(f"over: {over}", "red") if over else Text("within", "green"),
            ]
        )
    head = ("", "network", "parameters", "MACs", "memory", "in the space", "budget")
    return TextTable("known networks", head, rows, frozenset({1, 5, 6}))


def latency_table(preview: Preview) -> TextTable:
    """The architectures that were measured."""
    survey = preview.survey
    rows = [
        [
            survey.draw.points[i].key,
            *(objective(n).exact(survey.costs[i].get(n)) for n in ("params", "macs", "latency_ms")),
        ]
        for i in sorted(preview.latencies.found if preview.latencies else ())
    ]
    return TextTable("latencies", ("key", "parameters", "MACs", "latency"), rows)


def sparkline(values: Sequence[float], limit: float | None) -> Text:
    """A histogram of the logs in one line of blocks; dim beyond the limit."""
    edges = log_bins(values, COLUMNS)
    counts = np.histogram(values, edges)[0]
    line = Text()
    for count, left in zip(counts.tolist(), edges, strict=False):
        block = BLOCKS[math.ceil(count / counts.max() * len(BLOCKS)) - 1] if count else " "
        line.append(block, style="dim" if limit is not None and left > limit else "blue")
    return line
