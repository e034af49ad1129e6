"""What a front looks like in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nas.cost.latency import Conditions
from nas.pareto.objectives import OBJECTIVES
from nas.pareto.result import Result


def front_table(
    members: Sequence[Result], baselines: Sequence[Result] = (), numbered: bool = False
) -> Table:
    """The members of a front, one a row, smallest first; a column an objective that is known.

    The `baselines` that were trained beside them follow under a line, by their names.
    """
    table = Table(title="front", title_justify="left", title_style="bold", caption_justify="left")
    if numbered:
        table.add_column("", justify="right", style="dim")
    table.add_column("key", no_wrap=True)
    rows = [*members, *baselines]
    known = [o for o in OBJECTIVES.values() if any(r.value(o.name) is not None for r in rows)]
    for objective in known:
        table.add_column(objective.title, justify="right")
    for number, row in enumerate(rows, 1):
        if number == len(members) + 1:
            table.add_section()
        cells = [objective.exact(row.value(objective.name)) for objective in known]
        place = [] if not numbered else [""] if row.baseline else [str(number)]
        table.add_row(*place, row.label, *cells, style="dim" if row.baseline else None)
        if row.latency:
            conditions = Conditions.from_json(row.latency["conditions"])
            table.caption = f"latency: median of a pass, {conditions.text()}"
    return table


def clock(seconds: float) -> str:
    """`7:05`, `1:07:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
