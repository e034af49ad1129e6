"""What a front looks like in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from nas.cost.latency import Conditions
from nas.pareto.objectives import OBJECTIVES, UNKNOWN
from nas.pareto.result import Result


def front_table(
    members: Sequence[Result], chances: Mapping[str, float] | None = None, numbered: bool = False
) -> Table:
    """The members of a front, one a row, smallest first; a column an objective that is known.

    Where there are `chances`, also these; a Dice is marked that is the mean of several trainings.
    """
    table = Table(title="front", title_justify="left", title_style="bold", caption_justify="left")
    if numbered:
        table.add_column("", justify="right", style="dim")
    table.add_column("key", no_wrap=True)
    known = [o for o in OBJECTIVES.values() if any(m.value(o.name) is not None for m in members)]
    for objective in known:
        table.add_column(objective.title, justify="right")
    if chances:
        table.add_column("chance", justify="right")
    for number, member in enumerate(members, 1):
        cells = [objective.exact(member.value(objective.name)) for objective in known]
        if member.trainings:
            cells[0] += f" ×{len(member.trainings)}"  # noqa: RUF001
        if chances:
            chance = chances.get(member.key)
            cells.append(UNKNOWN if chance is None else f"{chance:.0%}")
        table.add_row(*([str(number)] if numbered else []), member.key, *cells)
        if member.latency:
            conditions = Conditions.from_json(member.latency["conditions"])
            table.caption = f"latency: median of a pass, {conditions.text()}"
    return table


def clock(seconds: float) -> str:
    """`7:05`, `1:07:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
