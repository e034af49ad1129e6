"""The preview for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.panels import bin_edges
from nas.pareto.objectives import COSTS, objective

COLUMNS = 24  # characters of a histogram
BLOCKS = "▁▂▃▄▅▆▇█"
KNOBS = 5
QUANTILES = (0.05, 0.5, 0.95)


def cost_table(preview: Preview) -> Table:
    """A row a cost: its distribution, its limit and the share within."""
    table = _table("costs")
    heads = ("cost", "distribution", *(f"{q:.0%}" for q in QUANTILES), "limit", "within", "of")
    for head in heads:
        left = head in ("cost", "distribution")
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    shares = {limit.name: limit for limit in preview.allowed.limits}
    for name in COSTS:
        values = preview.survey.values(name)
        if not values:
            continue
        limited = shares.get(name)
        table.add_row(
            objective(name).phrase,
            sparkline(values, limited.limit if limited else None),
            *(objective(name).short(q) for q in np.quantile(values, QUANTILES).tolist()),
            objective(name).short(limited.limit) if limited else "",
            f"{limited.share:.0%}" if limited else "",
            f"{len(values):,}",
        )
    return table


def driver_table(preview: Preview) -> Table:
    """The knobs that explain most, a column a cost."""
    table = _table("share of the variance of log(cost) that a knob explains")
    for name in preview.drivers:
        table.add_column(objective(name).phrase, no_wrap=True)
    for row in zip_longest(*(found[:KNOBS] for found in preview.drivers.values())):
        table.add_row(*(f"{max(one.values, 0.0):4.0%} {one.knob}" if one else "" for one in row))
    totals = [sum(driver.values for driver in found) for found in preview.drivers.values()]
    table.add_section()
    table.add_row(*(f"{total:4.0%} all knobs, one by one" for total in totals))
    return table


def reference_table(preview: Preview) -> Table:
    """The known networks and what they cost."""
    table = _table("known networks")
    for head in ("", "network", "parameters", "MACs", "memory", "in the space", "budget"):
        left = head in ("network", "in the space", "budget")
        table.add_column(head, justify="left" if left else "right", no_wrap=head != "budget")
    for i, known in enumerate(preview.references, start=1):
        over = ", ".join(objective(name).phrase for name in known.excess)
        table.add_row(
            str(i),
            known.name,
            *(objective(name).short(known.costs[name]) for name in ("params", "macs", "memory")),
            "yes" if known.reachable else "no",
            Text(f"over: {over}", style="red") if over else Text("within", style="green"),
        )
    return table


def sparkline(values: Sequence[float], limit: float | None) -> Text:
    """A histogram of the logs in one line of blocks; dim beyond the limit."""
    logs = [math.log10(value) for value in values]
    edges = bin_edges(logs, COLUMNS)
    counts = np.histogram(logs, edges)[0]
    line = Text()
    for count, left in zip(counts.tolist(), edges, strict=False):
        block = BLOCKS[math.ceil(count / counts.max() * len(BLOCKS)) - 1] if count else " "
        line.append(block, style="dim" if limit is not None and 10**left > limit else "blue")
    return line


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
