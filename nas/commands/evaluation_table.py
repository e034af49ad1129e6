"""An evaluation for the terminal: a table, and a line of what the network measured of itself."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from trainers.evaluate import Evaluation


def evaluation_table(evaluation: Evaluation) -> Table:
    """A row a case, worst first, and the means."""
    classes = list(evaluation.dice_per_class)
    table = Table("case", *classes, "mean", show_footer=True)
    table.columns[0].footer = f"mean of {len(evaluation.cases)}"
    for column, name in zip(table.columns[1:-1], classes, strict=True):
        column.footer = _dice(evaluation.dice_per_class[name])
    table.columns[-1].footer = _dice(evaluation.dice)
    by_dice = sorted(evaluation.cases.items(), key=lambda case: case[1]["dice"] or 0.0)
    for name, scores in by_dice:
        table.add_row(name, *(_dice(scores[c]) for c in classes), _dice(scores["dice"]))
    return table


def measured_line(measured: Mapping[str, float], macs: Mapping[str, int]) -> str:
    """`measured` and the MACs of one patch that go with it, in words; empty where there is nothing.

    macs: of `macs_measured`.
    """
    parts = [f"{name} {value:.2%}" for name, value in measured.items()]
    if macs:
        giga = {name: f"{value / 1e9:.4g}" for name, value in macs.items()}
        parts.append(
            f"{giga['macs_measured']} GMACs a patch at that alpha, between {giga['macs_least']} "
            f"and {giga['macs']}"
        )
    return f"measured: {', '.join(parts)}" if parts else ""


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
