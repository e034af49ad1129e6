"""What a front looks like in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from nas.cost.latency import Conditions
from nas.pareto.budget import amount
from nas.pareto.result import Result


def front_table(members: Iterable[Result], numbered: bool = False) -> Table:
    """The members of a front, one a row, smallest first; `memory` is that of a training step."""
    table = Table(title="front", title_justify="left", title_style="bold", caption_justify="left")
    if numbered:
        table.add_column("", justify="right", style="dim")
    for name in ("key", "Dice", "params", "GMACs", "memory", "latency (ms)"):
        table.add_column(name, justify="left" if name == "key" else "right", no_wrap=True)
    for number, member in enumerate(members, 1):
        table.add_row(
            *([str(number)] if numbered else []),
            member.key,
            number_text(member.dice, ".4f"),
            number_text(member.params, ","),
            number_text(None if member.macs is None else member.macs / 1e9, ".3g"),
            "-" if member.memory is None else amount("memory", member.memory),
            number_text(member.latency_ms, ".3g"),
        )
        if member.latency:
            conditions = Conditions.from_json(member.latency["conditions"])
            table.caption = f"latency: median of a pass, {conditions.text()}"
    return table


def clock(seconds: float) -> str:
    """`7:05`, `1:07:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def number_text(value: float | None, form: str) -> str:
    """The number in that format; a dash where it is not known."""
    return "-" if value is None else format(value, form)
