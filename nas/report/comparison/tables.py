"""A comparison in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from nas.pareto.compare_fronts import TIE, Stretch
from nas.pareto.objectives import DICE, UNKNOWN, objective
from nas.pareto.result import Result
from nas.report.comparison.compare import Comparison


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """The searches in numbers, who is ahead at which cost, and the members of all fronts."""
    yield _searches(comparison)
    for cost in comparison.leads:
        yield _leads(comparison, cost)
    yield _members(comparison)


def best_dice(members: Sequence[Result]) -> float | None:
    """The best Dice of a front; None of an empty one."""
    return max((m.dice for m in members if m.dice is not None), default=None)


def range_text(cost: str, stretch: Stretch) -> str:
    """`from 5.34 k to 21.8 k`, `from 21.8 k on`."""
    short = objective(cost).short
    end = "on" if stretch.end is None else f"to {short(stretch.end)}"
    return f"from {short(stretch.start)} {end}"


def lead_text(stretch: Stretch, names: list[str]) -> str:
    """`train by 0.0042 to 0.0110`, `as good`, `train alone`."""
    if stretch.ahead is None:
        return f"as good (within {TIE})"
    name = names[stretch.ahead]
    if stretch.least is None or stretch.most is None:
        return f"{name} alone"
    gaps = dict.fromkeys((DICE.exact(stretch.least), DICE.exact(stretch.most)))
    return f"{name} by {' to '.join(gaps)}"


def _searches(comparison: Comparison) -> Table:
    table = _table(f"fronts in {comparison.titles}", "search", "trained", "front", "best Dice")
    table.add_column("hypervolume", justify="right")
    table.add_column("dominated by others", justify="right")
    for name, members in comparison.fronts.items():
        best = best_dice(members)
        trained = comparison.searches[name].states["complete"]
        beaten = f"{comparison.dominated[name]} of {len(members)}"
        cells = (name, str(trained), str(len(members)), DICE.exact(best))
        table.add_row(*cells, f"{comparison.volumes[name]:.4f}", beaten)
    told = f"front: members from Dice {DICE.exact(comparison.reference)} on, 0.9 of the best of all"
    table.caption = "\n".join(filter(None, (told, comparison.in_common)))
    return table


def _leads(comparison: Comparison, cost: str) -> Table:
    table = _table(f"ahead in Dice within {objective(cost).phrase}", objective(cost).title)
    table.add_column("ahead")
    names = list(comparison.searches)
    for stretch in comparison.leads[cost]:
        table.add_row(range_text(cost, stretch), lead_text(stretch, names))
    return table


def _members(comparison: Comparison) -> Table:
    table = _table("members of the fronts", "search")
    table.add_column("key", no_wrap=True)
    for name in ("dice", *comparison.costs):
        whole = name == DICE.name
        table.add_column(objective(name).title, justify="right", overflow="fold", no_wrap=whole)
    table.add_column("dominated")
    rows = [(name, one) for name, found in comparison.fronts.items() for one in found]
    rows.sort(key=lambda row: (row[1].costs.get("params", 0.0), row[0]))
    same = [", ".join(comparison.same_in(*row)) for row in rows]
    if any(same):
        table.add_column("same network in")
    for (name, member), others in zip(rows, same, strict=True):
        cells = [objective(n).short(member.value(n)) for n in ("dice", *comparison.costs)]
        beaten = comparison.is_beaten(name, member)
        told = ["yes" if beaten else "", *([others] if any(same) else [])]
        table.add_row(name, member.key, *cells, *told, style="dim" if beaten else None)
    table.caption = f"dominated: by a network of another search ({UNKNOWN}: not known)"
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table
