"""What a front looks like in a terminal."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.table import Table

from nas.cost.latency.conditions import conditions_text
from nas.pareto.front_files import Front
from nas.pareto.objectives import DICE, UNKNOWN, chance_text, costs_among, objective
from nas.pareto.reference import above_reference, dice_reference


def front_table(
    front: Front, numbered: bool = False, whole: bool = False, counting: bool = True
) -> Table:
    """The members of a front, one a row, smallest first; a column an objective that is known.

    Those below the reference in Dice are only counted, unless the `whole` front is wanted; not
    `counting`, they are left to `left_out`.
    Where there are `chances`, also these; a Dice is marked that is the mean of several trainings.
    What stands beside them follows under a line: baselines by their names, compressed networks by
    their keys and method, with the trial of which they were made below the table.
    """
    table = Table(title="front", title_justify="left", title_style="bold", caption_justify="left")
    if numbered:
        table.add_column("", justify="right", style="dim")
    table.add_column("key", no_wrap=True)
    members = front.members if whole else above_reference(front.members)
    rows = [*members, *front.beside]
    captions: dict[str, None] = {}
    costs = costs_among(name for row in rows for name in row.costs)
    names = [n for n in ("dice", *costs) if any(row.value(n) is not None for row in rows)]
    known = list(map(objective, names))
    for shown in known:
        one_line = shown.name == DICE.name  # the others break before their unit
        table.add_column(shown.title, justify="right", overflow="fold", no_wrap=one_line)
    if front.chances:
        table.add_column("chance", justify="right")
    for number, row in enumerate(rows, 1):
        if number == len(members) + 1:
            table.add_section()
        cells = [shown.short(row.value(shown.name)) for shown in known]
        if row.trainings:
            cells[0] += f" ×{len(row.trainings)}"  # noqa: RUF001
        if front.chances:
            chance = front.chances.get(row.name)
            cells.append(UNKNOWN if chance is None else chance_text(chance))
        place = [] if not numbered else [str(number)] if row.is_candidate else [""]
        called = row.name if row.compressed else row.label
        table.add_row(*place, called, *cells, style=None if row.is_candidate else "dim")
        if row.compressed:
            captions[f"{called}: {row.made}"] = None
        if row.macs_bounds:
            least, most = map(objective("macs").short, row.macs_bounds)
            captions[f"{row.label}: MACs of the queries that it keeps, of {least} to {most}"] = None
        if row.latency:
            captions[f"latency: median of a pass, {conditions_text(row.latency)}"] = None
        for name, latency in row.latencies.items():
            captions[f"latency on {name}: median of a pass, {conditions_text(latency)}"] = None
    if counting and not whole and (told := left_out(front)):
        captions[told] = None
    table.caption = "\n".join(captions) or None
    return table


def left_out(front: Front, command: str = "") -> str:
    """How many members the table only counts, and the `command` that with `--all` shows them; empty
    where there are none. A line of its own: a caption would break the command."""
    below = len(front.members) - len(above_reference(front.members))
    if not below:
        return ""
    told = f"{below} more below Dice {DICE.exact(dice_reference(front.members))}"
    return f"{told}: {command} --all" if command else told


def shell_path(path: Path) -> str:
    """The path as a shell reads it, from here where it is below."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def clock(seconds: float) -> str:
    """`7:05`, `1:07:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
