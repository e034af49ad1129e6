"""What was seen as tables, for the terminal and for the page."""

from __future__ import annotations

from rich.table import Table

from nas.analysis.explain.ablation import CONFIDENCE
from nas.analysis.explain.explain_report import Ablation, Explanation
from nas.analysis.explain.verdict import Ablated
from nas.pareto.objectives import short_number
from nas.report.plain_table import plain_table
from trainers.counted import counted

UNKNOWN = "-"


def shares_table(explanation: Explanation, mechanism: str | None = None) -> Table:
    """Every value's mean, its spread, and its mean on the structures; of one mechanism, or all."""
    right = ("mean", "deviation", "on structures")
    table = plain_table(("mechanism", "where", "what"), right)
    for share in explanation.shares:
        if mechanism in (None, share.item.mechanism):
            inside = UNKNOWN if share.inside is None else f"{share.inside:.3f}"
            numbers = f"{share.mean:.3f}", f"{share.deviation:.3f}", inside
            table.add_row(share.item.mechanism, share.item.label, share.name, *numbers)
    for one in explanation.moved:
        if mechanism in (None, one.item.mechanism):
            moved = UNKNOWN if one.deviation is None else f"{one.deviation:.3f} voxels"
            what = f"{one.points} points, from case to case"
            table.add_row(one.item.mechanism, one.item.label, what, UNKNOWN, moved, UNKNOWN)
    return table


def ablation_table(ablation: Ablation) -> Table:
    """A row for the network as it is, and one for each replacement."""
    right = ("Dice", "difference", "worse", "its MACs", "MACs then")
    table = plain_table(("mechanism", "replaced by"), right, ("verdict",))
    seen = ablation.replaced[0].difference
    table.caption = (
        "difference of Dice ± its standard error, paired, over "
        f"{counted(seen.patients, seen.unit)}; verdicts by whether Student's {CONFIDENCE:.0%} "
        "interval holds 0; MACs of one patch"
    )
    macs = ablation.replaced[0].macs_before
    told = f"{ablation.mean:.4f}", "", "", "", short_number(macs), ""
    table.add_row("as it is", "", *told, style="bold")
    for one in ablation.replaced:
        table.add_row(one.what.mechanism, one.what.by, *_cells(one))
    return table


def cases_table(ablation: Ablation) -> Table:
    """Dice by case: as the network is, and the difference of each replacement."""
    heads = [f"{one.what.mechanism}:\n{one.what.by}" for one in ablation.replaced]
    table = plain_table(("case",), ("as it is", *heads))
    for place, (name, dice) in enumerate(zip(ablation.cases, ablation.dice, strict=True)):
        after = (by_case[place] for by_case in ablation.dice_replaced)
        changes = (
            UNKNOWN if dice is None or other is None else f"{other - dice:+.4f}" for other in after
        )
        table.add_row(name, UNKNOWN if dice is None else f"{dice:.4f}", *changes)
    return table


def _cells(one: Ablated) -> tuple[str, ...]:
    seen = one.difference
    error = UNKNOWN if seen.error is None else f"{seen.error:.4f}"
    share = f"{short_number(one.own_macs)} ({one.own_macs / one.macs_before:.1%})"
    return (
        f"{one.dice:.4f}",
        f"{seen.mean:+.4f} ± {error}",
        f"{seen.worse}/{seen.patients}",
        share if one.own_macs else UNKNOWN,
        short_number(one.macs),
        one.verdict,
    )
