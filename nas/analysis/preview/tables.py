"""The tables of a preview, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from rich.table import Table
from rich.text import Text

from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.survey import log_bins
from nas.pareto.objectives import COSTS, objective
from nas.report.plain_table import plain_table

COLUMNS = 20  # characters of a histogram
BLOCKS = "▁▂▃▄▅▆▇█"
KNOBS = 8
QUANTILES = (0.05, 0.5, 0.95)


def cost_table(preview: Preview) -> Table:
    """A row a cost: its distribution, its limit and the share within."""
    shares = {limit.name: limit for limit in preview.allowed.limits}
    quantiles = (f"{q:.0%}" for q in QUANTILES)
    head = ("cost", "distribution", *quantiles, "limit", "within", "of")
    table = plain_table(head[:2], head[2:], whole=head[:-1], title="costs")
    for name in COSTS:
        if values := preview.survey.values(name):
            limited, short = shares.get(name), objective(name).short
            table.add_row(
                objective(name).phrase,
                sparkline(values, limited.limit if limited else None),
                *(short(q) for q in np.quantile(values, QUANTILES).tolist()),
                short(limited.limit) if limited else "",
                f"{limited.share:.0%}" if limited else "",
                f"{len(values):,}",
            )
    return table


def knob_table(preview: Preview) -> Table:
    """The knobs that matter most, a column a cost."""
    columns = [
        [
            f"{share:4.0%} {knob if knob in found.beyond_chance else f'({knob})'}"
            for knob, share in list(found.shares.items())[:KNOBS]
        ]
        for found in preview.importances
    ]
    title = "importance of the knobs, in brackets where it is within chance"
    head = [objective(found.objective).phrase for found in preview.importances]
    table = plain_table(head, whole=head[:-1], title=title)
    for row in zip_longest(*columns, fillvalue=""):
        table.add_row(*row)
    return table


def network_table(preview: Preview) -> Table:
    """The known networks and what they cost."""
    head = ("", "network", "parameters", "MACs", "memory", "in the space", "budget")
    parts = head[:2], head[2:5], head[5:]
    large = any(known.baseline and known.excess for known in preview.known)
    caption = (
        "of baselines a search trains the size that its budget lets through" if large else None
    )
    table = plain_table(*parts, whole=head[:-1], title="known networks", caption=caption)
    for known in preview.known:
        excess = (f"{objective(n).phrase} {factor:.3g}x" for n, factor in known.excess.items())
        over = ", ".join(excess)
        table.add_row(
            str(known.number),
            known.name,
            *(objective(n).short(known.costs[n]) for n in ("params", "macs", "memory")),
            "yes" if known.reachable else "no",
            Text(f"over: {over}", "red") if over else Text("within", "green"),
        )
    return table


def latency_table(preview: Preview) -> Table:
    """The architectures that were measured."""
    survey, latencies = preview.survey, preview.latencies
    right = ("parameters", "MACs", *(objective(name).phrase for name in latencies))
    table = plain_table(("key",), right, whole=("key", *right), title="latencies")
    for i in sorted({i for each in latencies.values() for i in each.found}):
        known = survey.costs[i]
        values = (objective(n).exact(known.get(n)) for n in ("params", "macs", *latencies))
        table.add_row(survey.draw.points[i].key, *values)
    return table


def sparkline(values: Sequence[float], limit: float | None) -> Text:
    """A histogram of the logs in one line of blocks; dim beyond the limit."""
    edges = log_bins(values, COLUMNS)
    counts = np.histogram(values, edges)[0]
    line = Text()
    for count, left in zip(counts.tolist(), edges, strict=False):
        block = BLOCKS[math.ceil(count / counts.max() * len(BLOCKS)) - 1] if count else " "
        line.append(block, style="dim" if limit is not None and left > limit else "blue")
    return line
